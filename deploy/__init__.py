"""Deployment: the service as a bento, and as a container made from it."""
