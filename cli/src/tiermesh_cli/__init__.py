"""The `tiermesh` command. What the services do lives in the services; this starts them, asks them and shows the answer."""
