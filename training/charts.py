"""Pictures of a comparison as Vega-Lite specifications (https://vega.github.io/vega-lite)."""

from typing import Any

Spec = dict[str, Any]
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


def curve(title: str, rows: list[dict[str, Any]], x: str, y: str) -> Spec:
    """One line a model through points (x, y), both from 0 to 1, with the diagonal for reference."""
    return _chart(title, rows) | {
        "width": 320,
        "height": 260,
        "mark": {"type": "line", "point": len(rows) < 100},
        "encoding": {"x": _unit(x), "y": _unit(y), "color": _model(), "order": {"field": x}},
    }


def by_batch(title: str, rows: list[dict[str, Any]], metric: str) -> Spec:
    """One line a model of a metric over batches."""
    return _chart(title, rows) | {
        "width": 320,
        "height": 260,
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "batch", "type": "ordinal"},
            "y": {"field": metric, "type": "quantitative", "scale": {"zero": False}},
            "color": _model(),
        },
    }


def _chart(title: str, rows: list[dict[str, Any]]) -> Spec:
    return {"$schema": SCHEMA, "title": title, "data": {"values": rows}}


def _unit(name: str) -> Spec:
    return {"field": name, "type": "quantitative", "scale": {"domain": [0, 1]}, "title": name.replace("_", " ")}


def _model() -> Spec:
    return {"field": "model", "type": "nominal"}
