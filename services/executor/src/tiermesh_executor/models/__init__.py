"""Models as the rest of the executor sees them: one event model, providers behind it, failover across them."""
