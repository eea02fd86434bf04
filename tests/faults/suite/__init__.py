"""The whole suite as real processes under a steady load, with faults acted out on it, and a check of its history."""
