"""The service: answers a second, their latency, memory, and what explanations and clients add."""
