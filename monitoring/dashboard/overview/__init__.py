"""The overview: the loop on one page."""
