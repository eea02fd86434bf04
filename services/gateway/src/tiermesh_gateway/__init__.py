"""The gateway: one question in, one merged stream out, with the decision and its reasons first and the receipt last."""
