"""From the semantic model to one SQL statement. Dialects and the running of statements are `engines`' business."""
