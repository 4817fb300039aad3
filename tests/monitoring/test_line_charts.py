"""The chart of one value over the windows: its axis of days."""

import pytest
from vl_convert import vegalite_to_svg

from monitoring.charts import build_line_chart


def draw(*days):
    points = [{"begin": day, "value": 1.0, "low": 0.5, "high": 1.5, "said": day, "mark": ""} for day in days]
    return vegalite_to_svg(build_line_chart(points))


@pytest.mark.parametrize(
    ("days", "shown"), [(("1999-12-30", "2004-01-01"), "Jan 2002"), (("2004-01-01", "2004-01-05"), "3 Jan")]
)
def test_days_have_their_year_where_they_are_of_several(days, shown):
    assert f">{shown}</text>" in draw(*days)
