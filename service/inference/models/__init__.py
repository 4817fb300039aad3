"""The model versions that a worker answers with: the live one, the canary's share, those that a bento carries."""
