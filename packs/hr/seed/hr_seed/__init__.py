"""Invents one company's HR data: people first, then what happens to them. Knows no database."""
