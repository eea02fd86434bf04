"""What a question's words say before any model sees them: tokens, cues, periods, names, slots."""
