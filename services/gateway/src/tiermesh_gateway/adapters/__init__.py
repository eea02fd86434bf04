"""The gateway's sides to the world: each keeps one promise of `ports`."""
