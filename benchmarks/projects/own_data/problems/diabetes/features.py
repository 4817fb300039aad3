"""The measures as they are, and the sex as a category."""

from penumbra.features import Category, Number

FEATURES = (Category("sex"), *(Number(name) for name in ("label", "score", "value", "model")))
