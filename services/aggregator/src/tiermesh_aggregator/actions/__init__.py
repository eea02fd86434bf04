"""Writes: proposed by tools, performed exactly once after the user's word. Each action checks itself both times."""
