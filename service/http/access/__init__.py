"""Who may send a request, from which page, how many at once, and what a browser may do with the answer."""
