"""How often explanations of an alarm are right."""
