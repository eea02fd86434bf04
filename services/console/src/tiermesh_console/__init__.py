"""The console: web pages over the gateway and insights. It keeps nothing and holds no signing key."""
