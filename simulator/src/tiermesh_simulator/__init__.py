"""A Messages API server on loopback for development and tests.

It is no model: it picks tools and words answers by rules, from the request alone.
"""
