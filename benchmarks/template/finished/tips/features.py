"""Everything that is known when the bill is written."""

from penumbra.features import Category, Number

FEATURES = (Number("total bill ($)"), Number("size"), *(Category(name) for name in ("sex", "smoker", "day", "time")))
