"""Which rows people look at: reasons, chances, and the draw."""
