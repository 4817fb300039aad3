"""The inputs: categories of three types, a decimal, a weekday."""

from penumbra.features import Category, Number, Weekday

FEATURES = (
    Category("from"),
    Category("product-line"),
    Category("urgent"),
    Number("spent [€]"),
    Number("words"),
    Weekday("opened", "Europe/Berlin"),
)
