"""A small sentence encoder (MiniLM, int8, onnxruntime): what a text means, beside the words that it uses."""
