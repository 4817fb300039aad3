"""Windows: their records, the response to them, and the store."""
