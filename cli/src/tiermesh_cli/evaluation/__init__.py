"""What `tiermesh eval` measures on a running suite: one module asks, one reports, and `commands` reads the options."""
