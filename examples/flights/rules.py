"""Business rules: what is answered or refused without the model, and what becomes of the model's answers."""

from penumbra.rules import Answer, CloseCall, FewRows, Refuse, Review, Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "unknown_carrier",
        "no flight of this carrier was in the data that the model learnt from",
        FewRows("carrier", below=1),
        Refuse(),
    ),
    Rule(
        "rare_destination",
        "too few flights to this airport to say more than how often flights are late",
        FewRows("dest", below=30),
        Answer(),
    ),
    Rule("close_call", "either decision is about as good", CloseCall(0.01), Review()),
)
