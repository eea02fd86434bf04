"""The `tiermesh` command: starts the services, asks them and shows the answer; what they do lives in them."""
