"""Tools of any server of `tiermesh.tools.v1` or MCP: what is offered to a model, and the running of what it calls."""
