"""Model versions, and what was recorded of them."""
