"""Follow-up pills beside the answer. Never sees a model's key, never touches the answer."""
