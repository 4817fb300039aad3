"""The kinds of features and of checks between columns, which `problem/features.py` and `problem/schema.py` compose.

Each kind is one definition with two forms that must agree: `expr()` works on whole frames, `scalar` on one record (a
dict of Python values as the contract's model reads them), where polars' 150 µs would be most of an answer's time.
Property tests hold the two forms equal for every dtype that a kind takes; `load_problem` refuses the others.

Numbers are float64 with NaN for "missing"; categories become integer codes, -1 for "missing or never seen".
"""

from penumbra.features.column_checks import ColumnCheck, NotAbove, ValidClock
from penumbra.features.expression import Expression
from penumbra.features.kinds import Category, ClockMinutes, Difference, Hour, Month, Number, Record, Weekday

Feature = Number | Category | ClockMinutes | Hour | Weekday | Month | Difference | Expression

__all__ = [
    "Category",
    "ClockMinutes",
    "ColumnCheck",
    "Difference",
    "Expression",
    "Feature",
    "Hour",
    "Month",
    "NotAbove",
    "Number",
    "Record",
    "ValidClock",
    "Weekday",
]
