"""The pictures of docs/benchmarks.md: how costs grow with rows, and requests a second beside other servers."""

from collections.abc import Mapping
from typing import Any

from benchmarks.pipeline.growth.table import read_growth_costs
from penumbra.training.evaluation.charts import VEGA_LITE_SCHEMA, VegaLiteSpec

SERVING_FIGURES = "serve/per_second/"
COLOURS = ["#1565c0", "#c62828", "#f9a825", "#6a1b9a", "#2e7d32", "#9e9e9e"]


def draw_pictures(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Draw the pictures.

    Args:
        figures: By name the "value" of each figure.

    Returns:
        SVG by file name.
    """
    from vl_convert import vegalite_to_svg

    specs = {
        "growth-cpu.svg": build_growth_picture(figures, "cpu_s_per_million", "CPU seconds a million rows"),
        "growth-memory.svg": build_growth_picture(figures, "peak_mb", "peak memory, MB"),
        "serving-rates.svg": build_serving_picture(figures),
    }
    return {name: vegalite_to_svg(spec) for name, spec in specs.items()}


def build_growth_picture(figures: Mapping[str, Mapping[str, Any]], measure: str, title: str) -> VegaLiteSpec:
    """Build a chart for each stage of how a cost grows with the number of rows, beside other ways.

    Args:
        figures: By name the "value" of each figure.
        measure: The cost, as in the figures' names.
        title: The cost in words.

    Returns:
        The Vega-Lite specification.
    """
    rows = [
        {"stage": stage, "way": way, "rows": size, title: costs[measure]}
        for (stage, way, size), costs in read_growth_costs(figures).items()
        if measure in costs
    ]
    return _make_facets(rows, "stage", ("rows", "quantitative"), title)


def build_serving_picture(figures: Mapping[str, Mapping[str, Any]]) -> VegaLiteSpec:
    """Build a chart of requests a second by connections, with a line for each server.

    Args:
        figures: By name the "value" of each figure.

    Returns:
        The Vega-Lite specification.
    """
    measured = {
        tuple(name.removeprefix(SERVING_FIGURES).split("/")): figure["value"]
        for name, figure in figures.items()
        if name.startswith(SERVING_FIGURES)
    }
    rows = [
        {"way": server, "connections": int(connections), "requests a second": value}
        for (server, connections), value in measured.items()
    ]
    return _make_facets(rows, "", ("connections", "ordinal"), "requests a second")


def _make_facets(rows: list[dict[str, Any]], facet: str, x: tuple[str, str], title: str) -> VegaLiteSpec:
    """Lines with points on logarithmic scales; `facet` has a chart for each of its values, "" for one chart."""
    field, kind = x
    scale = {"scale": {"type": "log"}} if kind == "quantitative" else {}
    axis = {"axis": {"format": "~s"}, "scale": {"type": "log"}}
    spec: VegaLiteSpec = {
        "$schema": VEGA_LITE_SCHEMA,
        "background": "white",
        "data": {"values": rows},
        "width": 220,
        "height": 180,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": field, "type": kind, **scale, **({"axis": {"format": "~s"}} if scale else {})},
            "y": {"field": title, "type": "quantitative", **axis},
            "color": {"field": "way", "type": "nominal", "title": None, "sort": None, "scale": {"range": COLOURS}},
        },
    }
    if facet:
        spec["encoding"]["facet"] = {"field": facet, "type": "nominal", "title": None, "sort": None, "columns": 3}
    return spec
