"""`tiermesh label`: makes outcome data by running a sample of prompts through the tiers and a judge."""
