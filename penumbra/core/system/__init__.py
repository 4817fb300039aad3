"""The system that a process runs on: who runs it, what it has started, and calls to other servers."""
