"""What was decided, what it cost and what became of it. Decides nothing and calls no model."""
