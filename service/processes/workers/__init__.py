"""The service's workers: how they are started, watched and ended."""
