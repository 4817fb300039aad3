"""The words of the report on a change: what days allow to be said, and what text from elsewhere may not become."""

import math

import pytest

from penumbra.cli.reports.decisions.change_report import REPORT_MARK, format_failure_report, judge_interval
from penumbra.training.evaluation.bootstrap import Interval


@pytest.mark.parametrize(
    ("limits", "days", "verdict"),
    [
        ((-0.02, -0.01), 28, "better"),
        ((0.01, 0.02), 28, "worse"),
        ((-0.01, 0.02), 28, "no difference shown"),
        ((0.0, 0.02), 28, "no difference shown"),
        ((-0.02, -0.01), 19, "too few days to tell (19 of 20)"),
        ((-math.inf, math.inf), 28, "too few days to tell"),
    ],
)
def test_a_difference_is_only_told_where_days_and_interval_allow_it(
    limits: tuple[float, float], days: int, verdict: str
) -> None:
    assert judge_interval(Interval(sum(limits) / 2, *limits), days, min_days=20) == verdict


def test_what_code_or_data_say_neither_mentions_anybody_nor_ends_the_block() -> None:
    text = format_failure_report("shop ``<b>", "```\n@team, see <script> at db://me:secret@host/x", is_expected=False)
    assert text.startswith(REPORT_MARK)
    assert "the model `shop \\x60\\x60\\x3cb\\x3e`\n" in text
    before, inside, after = text.split("````")
    assert "@team" in inside
    assert "@team" not in before + after
    assert "secret" not in text


def test_a_source_out_of_reach_speaks_not_against_the_change() -> None:
    text = format_failure_report("shop", "SHOP_PASSWORD isn't set", is_expected=True)
    assert "Nothing was trained, as the source can't be asked from here" in text
    assert "Nothing else speaks against the change." in text


def test_a_long_reason_is_cut_by_its_lines() -> None:
    text = format_failure_report("shop", "\n".join(f"line {n}" for n in range(30)), is_expected=False)
    assert "line 19\nand 10 more lines\n" in text
    assert "line 20" not in text
