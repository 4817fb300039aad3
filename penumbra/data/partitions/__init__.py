"""What is derived from a batch: the rows that keep the contract, and the rejected ones."""
