"""Pictures of the overview are drawn once for what they show, and none is kept that the page no longer has."""

import pytest

from monitoring.charts import build_line_chart
from monitoring.dashboard.overview.kept_drawings import CHARTS_FOLDER, DRAWN_CHARTS, KeptDrawings, draw_chart
from penumbra.storage.cache import JSON, FileCache

pytestmark = pytest.mark.slow  # the first picture starts a JavaScript engine


def make_spec(value: float):
    return build_line_chart([{"begin": "2013-04-04", "value": value, "said": "the first", "mark": ""}])


def draw_page(folder, *values: float) -> list[str]:
    drawings = KeptDrawings(folder)
    pictures = [drawings.draw(make_spec(value)) for value in values]
    drawings.keep()
    return pictures


def read_kept(folder) -> dict[str, str]:
    return FileCache(folder / CHARTS_FOLDER, JSON).find(DRAWN_CHARTS) or {}


def test_a_picture_that_is_kept_is_not_drawn_again_and_is_the_one_that_would_be(tmp_path):
    assert draw_page(tmp_path, 1.0) == [draw_chart(make_spec(1.0))]
    (key,) = read_kept(tmp_path)
    FileCache(tmp_path / CHARTS_FOLDER, JSON).save(DRAWN_CHARTS, {key: "<svg>kept</svg>"})
    assert draw_page(tmp_path, 1.0) == ["<svg>kept</svg>"]


def test_what_shows_something_else_is_drawn_and_what_the_page_no_longer_has_is_forgotten(tmp_path):
    (before, also), (now,) = draw_page(tmp_path, 1.0, 2.0), draw_page(tmp_path, 3.0)
    assert len({before, also, now}) == 3
    assert list(read_kept(tmp_path).values()) == [now]


def test_where_the_kept_pictures_are_damaged_they_are_drawn_again(tmp_path):
    drawn, file = draw_page(tmp_path, 1.0), tmp_path / CHARTS_FOLDER / f"{DRAWN_CHARTS}.json"
    file.write_bytes(file.read_bytes().replace(b"svg", b"gvs", 1))
    assert draw_page(tmp_path, 1.0) == drawn
    assert list(read_kept(tmp_path).values()) == drawn


def test_a_page_without_charts_writes_no_file(tmp_path):
    assert (draw_page(tmp_path), list(tmp_path.iterdir())) == ([], [])


def test_where_nothing_can_be_kept_the_page_has_its_pictures(tmp_path):
    (tmp_path / CHARTS_FOLDER).write_text("no folder")
    assert draw_page(tmp_path, 1.0) == [draw_chart(make_spec(1.0))]
