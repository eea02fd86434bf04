"""The databases behind one small contract. They run statements; what a statement means is the compiler's business."""
