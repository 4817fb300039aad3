"""A row's model inputs. Each is defined once, for whole frames and for the single record of a request."""

from penumbra.features import Category, Feature, Number, Weekday

FEATURES: tuple[Feature, ...] = (
    Category("carrier"),
    Number("weight_kg"),
    Number("distance_km"),
    Number("express"),
    Weekday("sent_at", "UTC"),
)
