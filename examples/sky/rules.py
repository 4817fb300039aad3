"""No rule but the model."""

RULES = ()
