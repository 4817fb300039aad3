"""The figures that have an aim: what people and bills wait for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.pipeline.growth.sizes import STAGES
from benchmarks.pipeline.growth.table import derive_growth_ratios


@dataclass(frozen=True)
class Aim:
    """A figure, and the bound that it should keep.

    Attributes:
        title: What is measured, with its unit.
        figure: The benchmark, and the figure's place in the document of its last line, such as "ingest/over_plain".
        bound: The bound.
        is_least: Whether the figure should be at least the bound, in place of at most.
    """

    title: str
    figure: str
    bound: float
    is_least: bool = False

    @property
    def benchmark(self) -> str:
        """The name of the benchmark."""
        return self.figure.partition("/")[0]

    def describe_bound(self) -> str:
        """Return the bound in words, such as "≤ 1.15"."""
        return f"{'≥' if self.is_least else '≤'} {self.bound:g}"

    def is_kept(self, value: float) -> bool:
        """Return whether `value` keeps the bound."""
        return value >= self.bound if self.is_least else value <= self.bound


AIMS = (
    Aim(
        "training flow ÷ joblib on two cores, same fits, 80,789 rows", "train/by_history/2013-04-01/over_joblib", 1.15
    ),
    Aim("the same at 252,484 rows", "train/by_history/2013-10-01/over_joblib", 1.05),
    Aim("fresh clone → first served prediction, warm package cache, s", "start/first_prediction_s", 40),
    Aim("second `make train` with nothing new, s", "start/second_train_s", 1.2),
    Aim("first metric of an experiment, s", "train/by_history/2013-04-01/first_metric_s", 2.5),
    Aim("`penumbra replay --days 14`, s", "replay/days14_s", 30),
    Aim("replay of the whole year, s", "replay/year_s", 300),
    Aim("monitor pass over two windows of 13,000 answers, CPU s", "monitor/pass_cpu_s", 7),
    Aim("archiving a million lines, CPU s", "monitor/cpu_s_per_million_archiving", 4),
    Aim("reports on a window, whole process, CPU s", "monitor/report_cpu_s", 3.5),
    Aim("one more batch after 1,000 batches ÷ after 10", "ingest/cost_1000_over_10", 1.3),
    Aim("indexing a million predictions with a label each, CPU s", "monitor/cpu_s_per_million_indexed", 10),
    Aim("counting a million lines that aren't archived, CPU s", "monitor/cpu_s_per_million_lines", 1.5),
    Aim("lists of 1,000: service ÷ direct vectorised prediction", "workers/list_over_direct", 0.8, is_least=True),
    Aim("two workers ÷ one, each on a core, by processor time", "workers/two_over_one", 1.8, is_least=True),
    Aim("batch scoring ÷ direct vectorised prediction of the same file", "score/over_direct", 0.8, is_least=True),
    Aim("batch scoring: two processes ÷ one, by processor time", "score/two_over_one", 1.8, is_least=True),
    Aim("batch scoring: peak memory, MB", "score/peak_mb", 500),
    Aim("batch scoring with explanations, records a second", "score/explained_per_s", 1000, is_least=True),
    Aim("a worker's own memory (PSS), MB", "footprint/worker_pss_mb", 90),
    Aim("service ready after start, s", "footprint/ready_seconds", 1.5),
    Aim("ingest ÷ plain polars doing the same parsing and checks", "ingest/over_plain", 1.15),
    Aim("`make test`, s", "tests/test_s", 50),
    Aim("`make test-all`, s", "tests/test_all_s", 420),
    Aim("backtest ÷ the fits that it needs, CPU", "backtest/cpu_over_fits", 1.2),
    *(Aim(f"{stage}: CPU a row, largest ÷ a million rows", f"growth/ratios/{stage}/cpu", 1.3) for stage in STAGES),
    *(Aim(f"{stage}: peak memory, largest ÷ a million rows", f"growth/ratios/{stage}/peak_mb", 1.3)
      for stage in STAGES if stage != "training"),
    Aim("training: peak memory ÷ that of the plain fits", "growth/ratios/training/peak_mb_over_plain", 1.3),
)  # fmt: skip
MEASURED_BENCHMARKS = tuple(dict.fromkeys(aim.benchmark for aim in AIMS))


def compare_with_aims(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Compare figures with their aims.

    Args:
        figures: By name the "value", "date" and "revision" of each figure.

    Returns:
        For each aim by its title the "figure", the "aim" in words, and of what was measured also "value", "kept",
        "date" and "revision".
    """
    figures, compared = {**figures, **derive_growth_ratios(figures)}, {}
    for aim in AIMS:
        found = figures.get(aim.figure)
        verdict = {**found, "kept": aim.is_kept(found["value"])} if found else {}
        compared[aim.title] = {"figure": aim.figure, "aim": aim.describe_bound(), **verdict}
    return compared
