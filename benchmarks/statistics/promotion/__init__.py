"""How often equal models are promoted, and how soon better ones are."""
