"""The inputs, a Boolean as a category among them."""

from penumbra.features import Category, Number, Weekday

FEATURES = (
    Category("batch"),
    Category("class"),
    Number("amount (EUR)"),
    Number("day"),
    Number("in.put*s [%]"),
    Weekday("order date", "America/New_York"),
)
