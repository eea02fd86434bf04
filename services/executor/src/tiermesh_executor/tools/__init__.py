"""Tools of any server of `tiermesh.tools.v1`: what is offered to a model, and the running of what it calls."""
