"""Pictures of windows over time as Vega-Lite specifications (https://vega.github.io/vega-lite): narrow enough for a
phone, each point with words for those who can't see it, alarms by shape as well as by colour."""

from collections.abc import Sequence
from typing import Any

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
WIDTH, HEIGHT = 225, 130
INK, CALM, ALARM, FAINT = "#1d3557", "#1d5fa8", "#b3261e", "#9db7d5"
DAY: Spec = {
    "field": "begin",
    "type": "temporal",
    "title": None,
    "scale": {"type": "utc"},
    "axis": {"format": "%-d %b", "tickCount": 4, "labelOverlap": True, "grid": False},
}
CONFIG = {
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "labelColor": "#33415c", "gridColor": "#e3e8f0"},
    "background": "transparent",
    "font": "system-ui, sans-serif",
}


def course(rows: Sequence[dict[str, Any]], percent: bool = False) -> Spec:
    """A point for each window at `begin` (a date in ISO's form) and `value`, in words `said`; triangles where `alarm`.

    Drawn where some row has one: a dashed line at `limit`, a band from `low` to `high`, a dotted line through `other`.
    """
    axis = {"format": "%"} if percent else {"tickCount": 5}
    value: Spec = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}, "axis": axis}
    layers = [_band(value)] if _any(rows, "low") else []
    layers += [_line(value, "limit", [5, 3], ALARM)] if _any(rows, "limit") else []
    layers += [_line(value, "other", [1, 3], INK)] if _any(rows, "other") else []
    return {
        "$schema": SCHEMA,
        "data": {"values": list(rows)},
        "width": WIDTH,
        "height": HEIGHT,
        "config": CONFIG,
        "layer": [*layers, _line(value, "value", [1, 0], CALM), _points(value)],
    }


def _any(rows: Sequence[dict[str, Any]], name: str) -> bool:
    return any(row.get(name) is not None for row in rows)


def _band(value: Spec) -> Spec:
    encoding = {"x": DAY, "y": value | {"field": "low"}, "y2": {"field": "high"}}
    return {"mark": {"type": "area", "color": FAINT, "opacity": 0.5, "aria": False}, "encoding": encoding}


def _line(value: Spec, field: str, dash: list[int], colour: str) -> Spec:
    mark = {"type": "line", "strokeDash": dash, "color": colour, "strokeWidth": 1.5, "aria": False}
    return {"mark": mark, "encoding": {"x": DAY, "y": value | {"field": field}}}


def _points(value: Spec) -> Spec:
    def by(calm: Any, alarm: Any) -> Spec:
        return {"condition": {"test": "datum.alarm", "value": alarm}, "value": calm}

    encoding = {"x": DAY, "y": value, "shape": by("circle", "triangle-up"), "color": by(CALM, ALARM)}
    words = {"description": {"field": "said", "type": "nominal"}}
    return {"mark": {"type": "point", "filled": True, "size": 60}, "encoding": encoding | words}
