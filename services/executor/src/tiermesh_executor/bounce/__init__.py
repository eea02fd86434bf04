"""What makes tier 1 hand over before anything is shown: the validators of its prose and the judge."""
