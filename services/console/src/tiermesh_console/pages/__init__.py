"""One module per page: read the request, call, hand plain values to a template."""
