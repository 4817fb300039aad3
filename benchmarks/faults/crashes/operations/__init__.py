"""The operations that are killed: each prepares a state, works on it, and describes it without times and ids."""
