"""Business rules of each kind."""

from penumbra.rules import Answer, CloseCall, FewRows, Review, Rule

RULES = (
    Rule("rare region", "too few orders to say more", FewRows("batch", below=30), Answer()),
    Rule("close call", "either decision is about as good", CloseCall(0.02), Review()),
)
