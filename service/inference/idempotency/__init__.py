"""Requests with an idempotency key: who answers one, and how a repeated one gets the answer of the first."""
