"""What `replay` is made of."""
