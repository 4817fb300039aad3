"""The log of the shadow's answers, and what it has scored so far."""
