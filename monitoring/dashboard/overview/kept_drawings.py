"""Pictures of charts, kept beside the overview: the page is made anew for each reader, and a chart seldom differs.

<monitor>/charts/drawn.json   the pictures of the page as it was last made, each by the digest of what it was drawn from
"""

import hashlib
import importlib.metadata
import json
from contextlib import suppress
from pathlib import Path

from monitoring.charts import ChartSpec
from penumbra.storage.cache import JSON, FileCache

CHARTS_FOLDER, DRAWN_CHARTS = "charts", "drawn"
RENDERER = "vl-convert-python"  # the library that draws, whose version decides of a picture, too


def draw_chart(spec: ChartSpec) -> str:
    """Draw a chart.

    Args:
        spec: A Vega-Lite specification.

    Returns:
        The picture as SVG.
    """
    from vl_convert import vegalite_to_svg  # which starts a JavaScript engine, for half a CPU second

    return str(vegalite_to_svg(spec))


class KeptDrawings:
    """The pictures of a page; those that it no longer has are forgotten as it is made."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the settings' `monitor.folder`."""
        self._cache = FileCache(folder / CHARTS_FOLDER, JSON)
        self._known, self._drawn = dict[str, str](), dict[str, str]()
        with suppress(OSError):  # of another user's
            self._known = self._cache.find(DRAWN_CHARTS) or {}

    def draw(self, spec: ChartSpec) -> str:
        """Draw a chart, unless it is kept.

        Args:
            spec: A Vega-Lite specification.

        Returns:
            The picture as SVG, as `draw_chart` returns it.
        """
        text = json.dumps([importlib.metadata.version(RENDERER), spec])
        key = hashlib.sha256(text.encode()).hexdigest()
        self._drawn[key] = self._known.get(key) or draw_chart(spec)
        return self._drawn[key]

    def keep(self) -> None:
        """Keep the pictures that were drawn, and no others; what another process keeps meanwhile may be lost, and what
        can't be written is drawn again."""
        if self._drawn != self._known:
            with suppress(OSError):
                self._cache.save(DRAWN_CHARTS, self._drawn)
