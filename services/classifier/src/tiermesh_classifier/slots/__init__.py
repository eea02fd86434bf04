"""What a bulk call needs, read from the words, the pack's defaults and the conversation."""
