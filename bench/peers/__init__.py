"""`make bench-peers`: the same questions over the same fake upstream, through other gateways and through none."""
