"""HTTP: parsing, access control, endpoints, responses and the BentoML application."""
