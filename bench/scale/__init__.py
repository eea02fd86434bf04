"""What happens at and beyond capacity, and what grows with what: load, a day, replicas, memory, sizes."""
