"""The readings, and the kind of machine."""

from penumbra.features import Category, Number

FEATURES = (Category("kind{}"), Number("heat-°C"), Number("turns/min"))
