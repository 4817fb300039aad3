"""What is derived from a batch: the rows that keep the contract with their features, and the rejected ones."""
