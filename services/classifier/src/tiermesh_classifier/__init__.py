"""The classifier service: scores a question on independent axes and decides nothing."""
