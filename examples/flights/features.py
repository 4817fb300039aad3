"""A row's model inputs, each defined once. Nothing here may be known only after departure."""

from penumbra.features import Category, ClockMinutes, Feature, Number, Weekday

FEATURES: tuple[Feature, ...] = (
    Category("carrier"),
    Category("origin"),
    Category("dest"),
    ClockMinutes("sched_dep_time"),
    ClockMinutes("sched_arr_time"),
    Weekday("time_hour", "America/New_York"),
    Number("distance"),
    Number("temp"),
    Number("dewp"),
    Number("humid"),
    Number("wind_dir"),
    Number("wind_speed"),
    Number("precip"),
    Number("pressure"),
    Number("visib"),
)
