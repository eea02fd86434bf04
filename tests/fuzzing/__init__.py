"""Generated input, valid and hostile, for every RPC and for the parsers of untrusted text. `make fuzz SECONDS=600`."""
