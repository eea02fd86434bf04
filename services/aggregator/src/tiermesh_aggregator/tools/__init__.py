"""Tools made from the semantic model: what they are called, what they take, what they answer. No wire format."""
