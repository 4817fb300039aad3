"""The table of how costs grow, and the ratios that have an aim."""

from collections.abc import Mapping
from typing import Any

from benchmarks.pipeline.growth.sizes import MILLION_ROWS, MOST_PEER_ROWS, OURS, STAGES
from penumbra.core.text.tables import align_columns

GROWTH_FIGURES = "growth/costs/"
PLAIN_TRAINING = "scikit-learn, joblib"
TOO_SLOW = "over 10x"
GrowthCosts = dict[tuple[str, str, int], dict[str, float]]
"""By stage, way and number of rows: "cpu_s_per_million" and "peak_mb"."""


def read_growth_costs(figures: Mapping[str, Mapping[str, Any]]) -> GrowthCosts:
    """Read the costs from a file of figures.

    Args:
        figures: By name the "value" of each figure.

    Returns:
        The costs.
    """
    costs: GrowthCosts = {}
    for name, figure in figures.items():
        if name.startswith(GROWTH_FIGURES):
            stage, way, rows, measure = name.removeprefix(GROWTH_FIGURES).split("/")
            costs.setdefault((stage, way, int(rows)), {})[measure] = figure["value"]
    return dict(sorted(costs.items(), key=lambda cost: (STAGES.index(cost[0][0]), cost[0][1] != OURS, *cost[0][1:])))


def format_growth_table(costs: GrowthCosts) -> str:
    """Format costs as a table.

    Args:
        costs: The costs.

    Returns:
        A line for each stage and way, with both figures of each size; "over 10x" where a way isn't measured, as
        it takes more than ten times as long as ours.
    """
    sizes = sorted({rows for *_, rows in costs})
    ways = list(dict.fromkeys((stage, way) for stage, way, _ in costs))
    heads = [f"{rows:,}" for rows in sizes]
    lines = [["CPU s a million rows; peak MB", "", *(cell for head in heads for cell in (head, "MB"))]]
    for stage, way in ways:
        cells = [_format_costs(costs, stage, way, rows) for rows in sizes]
        lines.append([stage, way, *(cell for pair in cells for cell in pair)])
    return align_columns(lines, (True, True))


def derive_growth_ratios(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Derive the ratios that have an aim from a file of figures, whichever runs measured them.

    Args:
        figures: By name the "value", "date" and "revision" of each figure.

    Returns:
        Figures "growth/ratios/STAGE/cpu" and "…/peak_mb", the largest size over a million rows where both are there,
        and of training "…/peak_mb_over_plain", at the largest size; each with day and revision of the largest size.
    """
    costs, ratios = read_growth_costs(figures), {}
    for stage in STAGES:
        largest = max((rows for of, way, rows in costs if (of, way) == (stage, OURS)), default=0)
        compared = {"cpu": (OURS, MILLION_ROWS, "cpu_s_per_million"), "peak_mb": (OURS, MILLION_ROWS, "peak_mb")}
        if stage == "training":
            compared["peak_mb_over_plain"] = PLAIN_TRAINING, largest, "peak_mb"
        for name, (way, rows, measure) in compared.items():
            most = figures.get(f"{GROWTH_FIGURES}{stage}/{OURS}/{largest}/{measure}")
            other = figures.get(f"{GROWTH_FIGURES}{stage}/{way}/{rows}/{measure}")
            if most and other and most is not other:
                ratios[f"growth/ratios/{stage}/{name}"] = {**most, "value": round(most["value"] / other["value"], 2)}
    return ratios


def _format_costs(costs: GrowthCosts, stage: str, way: str, rows: int) -> tuple[str, str]:
    found, is_too_slow = costs.get((stage, way, rows), {}), rows > MOST_PEER_ROWS.get((stage, way), rows)
    cpu_seconds = TOO_SLOW if is_too_slow else _format_cost(found.get("cpu_s_per_million"), 2)
    return cpu_seconds, _format_cost(found.get("peak_mb"), 0)


def _format_cost(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
