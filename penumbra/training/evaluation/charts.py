"""Charts of models and checks as Vega-Lite specifications.

Source:
    https://vega.github.io/vega-lite
"""

from typing import Any

from penumbra.core.text.json_values import replace_non_finite

VegaLiteSpec = dict[str, Any]
VEGA_LITE_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
UTC_DATES: VegaLiteSpec = {"type": "temporal", "title": None, "scale": {"type": "utc"}}
"""Dates are midnights in UTC: on a scale in the machine's time zone they would be drawn a day early or late."""
UNFLUSHED = {"labelFlush": False, "labelOverlap": True}  # or labels at the ends run into their neighbours
VERDICT_COLOURS = {"pass": "#2e7d32", "fail": "#c62828", "not enough data": "#f9a825", "skipped": "#9e9e9e"}


def build_curve_chart(title: str, rows: list[dict[str, Any]], x: str, y: str) -> VegaLiteSpec:
    """Build a chart with a line for each model through points. Shares are shown from 0 to 1.

    Args:
        title: Title of the chart.
        rows: `model` and the two coordinates of each point.
        x: Name of the first coordinate.
        y: Name of the second coordinate.

    Returns:
        The Vega-Lite specification.
    """
    return _base_spec(title, rows) | {
        "width": 320,
        "height": 260,
        "mark": {"type": "line", "point": len(rows) < 100},
        "encoding": {
            "x": _axis_encoding(rows, x),
            "y": _axis_encoding(rows, y),
            "color": _model_encoding(),
            "order": {"field": x},
        },
    }


def build_batch_chart(title: str, rows: list[dict[str, Any]], metric: str) -> VegaLiteSpec:
    """Build a chart with a line for each model of a metric by batch.

    Args:
        title: Title of the chart.
        rows: `model`, `batch` and the metric.
        metric: Name of the metric.

    Returns:
        The Vega-Lite specification.
    """
    return _base_spec(title, rows) | {
        "width": 320,
        "height": 260,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "batch", "type": "ordinal"},
            "y": {
                "field": metric.replace(".", "\\."),
                "type": "quantitative",
                "scale": {"zero": False},
                "title": metric,
            },
            "color": _model_encoding(),
        },
    }


def build_slice_chart(
    title: str, rows: list[dict[str, Any]], series: str = "model", axis: str | None = None
) -> VegaLiteSpec:
    """Build a chart with a point for each slice and model, and a bar for its interval. Infinite limits have no bar.

    Args:
        title: Title of the chart.
        rows: `slice`, `model`, `value`, `low` and `high`.
        series: The title of the legend.
        axis: The title of the values' axis, None for none.

    Returns:
        The Vega-Lite specification.
    """
    slices = {"field": "slice", "type": "nominal", "sort": None, "title": None}
    value = {"field": "value", "type": "quantitative", "scale": {"zero": False}, "title": axis, "axis": UNFLUSHED}
    colour = _model_encoding(series)
    bar = {"y": slices, "x": value | {"field": "low"}, "x2": {"field": "high"}, "color": colour}
    finite = [{"filter": "datum.low !== null && datum.high !== null"}]
    return _base_spec(title, replace_non_finite(rows)) | {
        "width": 420,
        "layer": [
            {"transform": finite, "mark": "rule", "encoding": bar},
            {"mark": "point", "encoding": {"y": slices, "x": value, "color": colour}},
        ],
    }


def build_gate_chart(title: str, checks: list[dict[str, Any]]) -> VegaLiteSpec:
    """Build a chart with a square for each check in the colour of its verdict, and its sentence.

    Args:
        title: Title of the chart.
        checks: `name`, `verdict` and `sentence`, as in the facts of a gate report.

    Returns:
        The Vega-Lite specification.
    """
    name = {"field": "name", "type": "nominal", "sort": None, "title": None}
    scale = {"domain": list(VERDICT_COLOURS), "range": list(VERDICT_COLOURS.values())}
    verdict = {"field": "verdict", "type": "nominal", "scale": scale, "title": "verdict"}
    return _base_spec(title, checks) | {
        "width": 700,
        "layer": [
            {"mark": {"type": "square", "size": 150}, "encoding": {"x": {"value": 8}, "y": name, "color": verdict}},
            {
                "mark": {"type": "text", "align": "left", "limit": 680},
                "encoding": {"x": {"value": 24}, "y": name, "text": {"field": "sentence"}},
            },
        ],
    }


def build_time_chart(
    title: str, rows: list[dict[str, Any]], series: str = "model", axis: str | None = None
) -> VegaLiteSpec:
    """Build a chart with a line for each model by date.

    Args:
        title: Title of the chart.
        rows: `model`, `date` (ISO) and `value`.
        series: The title of the legend.
        axis: The title of the values' axis, None for none.

    Returns:
        The Vega-Lite specification.
    """
    return _base_spec(title, rows) | {
        "width": 640,
        "height": 280,
        "mark": {"type": "line", "interpolate": "linear"},
        "encoding": {
            "x": {"field": "date", **UTC_DATES, "title": None if axis is None else "day"},
            "y": {"field": "value", "type": "quantitative", "title": axis},
            "color": _model_encoding(series),
        },
    }


def build_model_history_chart(
    title: str,
    points: list[dict[str, Any]],
    marks: list[dict[str, Any]],
    bars: list[dict[str, Any]],
    colours: dict[str, str],
) -> VegaLiteSpec:
    """Build a chart of losses by date with marks of verdicts, above a chart of when each model was live. Dates are ISO.

    Args:
        title: Title of the chart.
        points: `model`, `date` and `value` (a loss).
        marks: `date` and `verdict`, shown as a vertical rule.
        bars: `model`, `begin` and `end` of each time that a model was live.
        colours: The colour of each verdict.

    Returns:
        The Vega-Lite specification.
    """
    time = {**UTC_DATES, "axis": {"format": "%d %b"}}
    verdict = {"field": "verdict", "type": "nominal", "title": "verdict"}
    scale = {"domain": list(colours), "range": list(colours.values())}
    lines = {
        "data": {"values": points},
        "mark": {"type": "line", "point": True, "strokeWidth": 2},
        "encoding": {
            "x": {"field": "date", **time},
            "y": {"field": "value", "type": "quantitative", "scale": {"zero": False}, "title": "loss"},
            "color": {**_model_encoding(), "scale": {"range": ["#9e9e9e", "#1a237e"]}},
        },
    }
    rules = {
        "data": {"values": marks},
        "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5},
        "encoding": {"x": {"field": "date", **time}, "color": {**verdict, "scale": scale}},
    }
    above = {
        "title": title,
        "width": 760,
        "height": 300,
        "layer": [rules, lines],
        "resolve": {"scale": {"color": "independent"}},
    }
    return {
        "$schema": VEGA_LITE_SCHEMA,
        "vconcat": [above, _draw_reigns(bars, time)],
        "resolve": {"scale": {"x": "shared"}},
    }


def _draw_reigns(bars: list[dict[str, Any]], time: VegaLiteSpec) -> VegaLiteSpec:
    """A bar for each time that a model was live."""
    return {
        "data": {"values": [{**bar, "said": f"{bar['model']}: {bar['begin']} to {bar['end']}"} for bar in bars]},
        "width": 760,
        "height": {"step": 18},
        "mark": {"type": "bar", "cornerRadius": 3},
        "encoding": {
            "x": {"field": "begin", **time},
            "x2": {"field": "end"},
            "y": {"field": "model", "type": "nominal", "title": None, "sort": None},
            "color": {"value": "#90a4ae"},
            "description": {"field": "said"},
        },
    }


def stack_charts(*charts: VegaLiteSpec) -> VegaLiteSpec:
    """Stack charts, the first at the top.

    Args:
        charts: Vega-Lite specifications.

    Returns:
        The Vega-Lite specification of all.
    """
    return {"$schema": VEGA_LITE_SCHEMA, "vconcat": list(charts)}


def _base_spec(title: str, rows: list[dict[str, Any]]) -> VegaLiteSpec:
    return {"$schema": VEGA_LITE_SCHEMA, "title": title, "data": {"values": rows}}


def _axis_encoding(rows: list[dict[str, Any]], name: str) -> VegaLiteSpec:
    share = all(0 <= row[name] <= 1 for row in rows)
    scale = {"domain": [0, 1]} if share else {"zero": False}
    return {"field": name, "type": "quantitative", "scale": scale, "title": name.replace("_", " ")}


def _model_encoding(title: str = "model") -> VegaLiteSpec:
    return {"field": "model", "type": "nominal", "title": title}
