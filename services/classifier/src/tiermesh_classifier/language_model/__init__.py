"""The third stage: a language model looks again at what the local stages left uncertain, within rails."""
