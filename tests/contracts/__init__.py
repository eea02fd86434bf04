"""Services of the previous release and of this tree, together in one suite."""
