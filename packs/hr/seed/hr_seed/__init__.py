"""Invents one company's HR data: people first, then everything that happens to them. Writes no files, knows no database."""
