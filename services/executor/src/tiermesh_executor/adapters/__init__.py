"""The executor's ports on the network: tool servers, the aggregator, insights."""
