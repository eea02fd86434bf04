"""What a question costs: routed, all at tier 2 and all at tier 1, over the same questions in turn."""
