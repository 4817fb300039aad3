"""The report of a harness."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class FaultReport:
    """What a harness has found.

    Attributes:
        counts: Numbers by name, which become part of the last line of `penumbra bench faults`.
        table: The counts in detail, a row for each kind of fault or place; decimals as text (see `format_table`).
        findings: A sentence for each fault that didn't hold.
    """

    counts: Mapping[str, float]
    table: pl.DataFrame
    findings: tuple[str, ...] = ()
