"""Charts of windows over time as Vega-Lite specifications.

They are narrow enough for a phone. Each point has a description for screen readers, and alarms differ by shape as well
as by colour.

Source: https://vega.github.io/vega-lite
"""

from collections.abc import Sequence
from typing import Any

ChartSpec = dict[str, Any]
CHART_SCHEMA_URL = "https://vega.github.io/schema/vega-lite/v5.json"
CHART_WIDTH, CHART_HEIGHT = 225, 130
OTHER_LINE_COLOUR, VALUE_COLOUR, ALARM_COLOUR, FAULT_COLOUR, BAND_COLOUR = (
    "#1d3557",
    "#1d5fa8",
    "#b3261e",
    "#855300",
    "#9db7d5",
)
SHARE_DOMAIN = (0, 1)
CHART_CONFIG = {
    "view": {"stroke": None},
    "axis": {"labelFontSize": 12, "titleFontSize": 12, "labelColor": "#33415c", "gridColor": "#e3e8f0"},
    "background": "transparent",
    "font": "system-ui, sans-serif",
}


def build_line_chart(rows: Sequence[dict[str, Any]], domain: Sequence[float] | None = None) -> ChartSpec:
    """Build the chart of one value over the windows.

    Args:
        rows: One row a window: `begin` (ISO date), `value`, `said` (the point's description) and `mark` ("alarm" draws
            a triangle, "fault" a diamond, "" a circle). Where some row has them, `limit` draws a dashed line, `low` and
            `high` a band, `other` a dotted line.
        domain: Lowest and highest value that the axis spans at least; (0, 1) is shown in per cent. None: the values'
            own.

    Returns:
        A Vega-Lite specification.
    """
    axis = {"format": "%"} if tuple(domain or ()) == SHARE_DOMAIN else {"tickCount": 5}
    scale = (
        {"zero": False}
        if domain is None
        else {"domainMin": domain[0], "domainMax": {"expr": _domain_max(rows, domain)}}
    )
    value: ChartSpec = {"field": "value", "type": "quantitative", "title": None, "scale": scale, "axis": axis}
    layers = [_band(value)] if _has_values(rows, "low") else []
    layers += [_line(value, "limit", [5, 3], ALARM_COLOUR)] if _has_values(rows, "limit") else []
    layers += [_line(value, "other", [1, 3], OTHER_LINE_COLOUR)] if _has_values(rows, "other") else []
    return {
        "$schema": CHART_SCHEMA_URL,
        "data": {"values": list(rows)},
        "width": CHART_WIDTH,
        "height": CHART_HEIGHT,
        "config": CHART_CONFIG,
        "encoding": {"x": _encode_days(rows)},
        "layer": [*layers, _line(value, "value", [1, 0], VALUE_COLOUR), _points(value)],
    }


def _encode_days(rows: Sequence[dict[str, Any]]) -> ChartSpec:
    """The axis of days: with the year where they are of several."""
    years = {str(row["begin"]).rpartition("-")[0].rpartition("-")[0] for row in rows}
    form = "%-d %b" if len(years) == 1 else "%b %Y"
    axis = {"format": form, "tickCount": 4, "labelOverlap": True, "grid": False}
    return {"field": "begin", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": axis}


def _domain_max(rows: Sequence[dict[str, Any]], domain: Sequence[float]) -> str:
    return str(max(domain[1], *(row["value"] for row in rows)))


def _has_values(rows: Sequence[dict[str, Any]], name: str) -> bool:
    return any(row.get(name) is not None for row in rows)


def _band(value: ChartSpec) -> ChartSpec:
    encoding = {"y": value | {"field": "low"}, "y2": {"field": "high"}}
    return {"mark": {"type": "area", "color": BAND_COLOUR, "opacity": 0.5, "aria": False}, "encoding": encoding}


def _line(value: ChartSpec, field: str, dash: list[int], colour: str) -> ChartSpec:
    mark = {"type": "line", "strokeDash": dash, "color": colour, "strokeWidth": 1.5, "aria": False}
    return {"mark": mark, "encoding": {"y": value | {"field": field}}}


def _points(value: ChartSpec) -> ChartSpec:
    def by(look: dict[str, Any]) -> ChartSpec:
        tests = [{"test": f"datum.mark === '{mark}'", "value": look[mark]} for mark in ("alarm", "fault")]
        return {"condition": tests, "value": look[""]}

    shape = by({"alarm": "triangle-up", "fault": "diamond", "": "circle"})
    colour = by({"alarm": ALARM_COLOUR, "fault": FAULT_COLOUR, "": VALUE_COLOUR})
    size = by({"alarm": 110, "fault": 110, "": 60})
    encoding = {"y": value, "shape": shape, "color": colour, "size": size}
    words = {"description": {"field": "said", "type": "nominal"}}
    return {"mark": {"type": "point", "filled": True, "opacity": 1}, "encoding": encoding | words}
