"""What is measured, each with a command that anyone can run again."""
