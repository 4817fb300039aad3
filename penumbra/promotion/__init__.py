"""The statistics of promotion: day blocks, the sequential test, guardrails, the decision. Pure logic."""
