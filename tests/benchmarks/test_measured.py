"""What was measured: the file of figures, the aims, and the page that is made of them."""

import json
import re

import pytest

from benchmarks.measured import page, pictures
from benchmarks.measured.aims import AIMS, MEASURED_BENCHMARKS, compare_with_aims
from benchmarks.measured.measured_file import MEASURED_FILE, read_measured, record_run
from benchmarks.pipeline.growth.sizes import MILLION_ROWS, OURS
from benchmarks.pipeline.growth.table import (
    PLAIN_TRAINING,
    derive_growth_ratios,
    format_growth_table,
    read_growth_costs,
)
from penumbra.cli.commands.project import AIMED, BENCHMARKS

SMALL, LARGE = 80_789, 10_103_280
STAMP = {"date": "2026-11-29", "revision": "8727e48f"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "measured.json"


def measure(**figures):
    return {name: {"value": value, **STAMP} for name, value in figures.items()}


def test_a_run_enters_its_figures_with_their_day_and_revision(file):
    assert record_run(
        file, "ingest", '2 cores\nrows  s\n{"over_plain": 1.1, "by": {"10": {"s": 2}}}\n', 61.6, "8727e48f"
    )
    measured = read_measured(file)
    assert {name: (figure["value"], figure["revision"]) for name, figure in measured["figures"].items()} == {
        "ingest/over_plain": (1.1, "8727e48f"),
        "ingest/by/10/s": (2, "8727e48f"),
    }
    run = measured["runs"]["ingest"]
    assert (run["printed"], run["seconds"]) == ("2 cores\nrows  s", 62)
    assert {"penumbra", "polars", "mlflow"} <= set(run["versions"])


def test_a_run_leaves_the_figures_that_it_does_not_measure(file):
    record_run(file, "replay", '{"days14_s": 40, "year_s": 400}', 1, "8727e48f")
    record_run(file, "replay", '{"days14_s": 30}', 1, "8727e48f")
    record_run(file, "start", '{"second_train_s": 1}', 1, "8727e48f")
    values = {name: figure["value"] for name, figure in read_measured(file)["figures"].items()}
    assert values == {"replay/days14_s": 30, "replay/year_s": 400, "start/second_train_s": 1}


def test_a_run_without_figures_enters_nothing(file):
    assert not record_run(file, "replay", "Traceback\n", 1, "8727e48f")
    assert not record_run(file, "replay", "", 1, "8727e48f")
    assert not file.exists()


def test_an_aim_is_kept_missed_or_not_measured():
    aims = compare_with_aims(
        measure(**{"ingest/over_plain": 1.15, "footprint/worker_pss_mb": 131, "workers/list_over_direct": 0.9})
    )
    verdicts = {aim["figure"]: aim.get("kept") for aim in aims.values()}
    assert verdicts["ingest/over_plain"]
    assert verdicts["workers/list_over_direct"]
    assert verdicts["footprint/worker_pss_mb"] is False
    assert verdicts["replay/year_s"] is None


def test_all_stands_for_the_benchmarks_that_have_aims_and_the_one_beside_other_servers():
    assert {*MEASURED_BENCHMARKS, "serve"} == set(AIMED)
    assert set(AIMED) <= set(BENCHMARKS)
    assert len({aim.title for aim in AIMS}) == len({aim.figure for aim in AIMS}) == len(AIMS)


def test_blocks_of_a_page_are_filled_and_all_else_stays(file):
    record_run(file, "replay", 'days  s\n{"days14_s": 1234.5}', 120, "8727e48f")
    written = "One.\n<!-- measured: replay -->\nold\n<!-- end -->\nTwo.\n<!-- measured: start -->\n<!-- end -->\n"
    filled = page.fill_blocks(written, read_measured(file))
    assert "```text\ndays  s\n```\n<!-- end -->\nTwo.\n" in filled
    assert filled.endswith("<!-- measured: start -->\nNot measured yet.\n<!-- end -->\n")
    assert "old" not in filled
    assert page.fill_blocks(filled, read_measured(file)) == filled
    aims = page.fill_blocks("<!-- measured: aims -->\n<!-- end -->", read_measured(file))
    assert re.search(r"\| `penumbra replay --days 14`, s \| 1,23[45] \| ≤ 30 \| \*\*no\*\* \| `bench replay`, ", aims)


def test_the_committed_page_is_what_the_committed_figures_make():
    committed = page.BENCHMARKS_PAGE.read_text()
    assert page.fill_blocks(committed, read_measured(MEASURED_FILE)) == committed


def test_the_committed_file_compares_its_figures_with_the_aims_of_now():
    measured = json.loads(MEASURED_FILE.read_text())
    assert measured["aims"] == compare_with_aims(measured["figures"])


@pytest.mark.slow
def test_the_committed_pictures_have_the_points_of_the_committed_figures():
    drawn = pictures.draw_pictures(read_measured(MEASURED_FILE)["figures"])
    committed = {name: page.BENCHMARKS_PAGE.with_name(name).read_text() for name in drawn}
    assert {name: read_labels(svg) for name, svg in committed.items()} == {
        name: read_labels(svg) for name, svg in drawn.items()
    }


def read_labels(svg):
    return re.findall(r'aria-label="([^"]+)"', svg)


def test_growth_compares_the_largest_size_with_a_million_rows_and_training_with_plain_fits():
    costs = {
        f"ingest/{OURS}/{SMALL}/peak_mb": 300,
        f"ingest/{OURS}/{MILLION_ROWS}/peak_mb": 400,
        f"ingest/{OURS}/{LARGE}/peak_mb": 500,
        f"training/{OURS}/{SMALL}/peak_mb": 600,
        f"training/{PLAIN_TRAINING}/{SMALL}/peak_mb": 500,
        f"archive/{OURS}/{MILLION_ROWS}/peak_mb": 500,
    }
    ratios = derive_growth_ratios(measure(**{f"growth/costs/{name}": value for name, value in costs.items()}))
    assert {name: ratio["value"] for name, ratio in ratios.items()} == {
        "growth/ratios/ingest/peak_mb": 1.25,
        "growth/ratios/training/peak_mb_over_plain": 1.2,
    }
    assert ratios["growth/ratios/ingest/peak_mb"] == {"value": 1.25, **STAMP}


def test_the_table_of_growth_says_where_a_peer_would_take_more_than_ten_times_as_long():
    costs = read_growth_costs(
        measure(
            **{
                f"growth/costs/monitoring/{OURS}/{LARGE}/cpu_s_per_million": 0.7,
                f"growth/costs/monitoring/Evidently/{MILLION_ROWS}/cpu_s_per_million": 19.5,
            }
        )
    )
    _, *lines = format_growth_table(costs).splitlines()
    assert [line.split() for line in lines] == [
        ["monitoring", "penumbra", "-", "-", "0.70", "-"],
        ["monitoring", "Evidently", "19.50", "-", "over", "10x", "-"],
    ]


def test_the_table_of_growth_has_a_dash_for_what_was_not_measured():
    costs = read_growth_costs(
        measure(
            **{
                "growth/costs/ingest/dvc add/80789/cpu_s_per_million": 4.5,
                "growth/costs/ingest/penumbra/1010328/cpu_s_per_million": 3.25,
                "growth/costs/ingest/penumbra/1010328/peak_mb": 1400,
            }
        )
    )
    head, *lines = format_growth_table(costs).splitlines()
    assert head.split()[-4:] == ["80,789", "MB", "1,010,328", "MB"]
    assert [line.split() for line in lines] == [
        ["ingest", "penumbra", "-", "-", "3.25", "1,400"],
        ["ingest", "dvc", "add", "4.50", "-", "-", "-"],
    ]
