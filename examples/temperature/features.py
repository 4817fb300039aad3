"""A row's model inputs: the weather as it is, and how humid the air feels."""

from penumbra.features import Category, Difference, Feature, Number

FEATURES: tuple[Feature, ...] = (
    Category("origin"),
    *(Number(name) for name in ("temp", "dewp", "humid", "wind_speed", "pressure", "visib")),
    Difference("temp", "dewp"),
)
