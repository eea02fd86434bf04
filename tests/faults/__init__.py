"""What goes wrong, acted out over real sockets, and what is to come of it. `make faults` prints the table."""
