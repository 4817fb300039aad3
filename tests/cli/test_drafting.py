"""The choices of `penumbra init`: what is asked at a terminal, what the model is called, where data may lie."""

import pytest
from click.testing import CliRunner

from penumbra.cli.commands import drafting
from penumbra.drafting.draft import DraftQuestion, DraftRefused
from tests.helpers.problems.drafts import draft_orders


@pytest.mark.parametrize(
    ("option", "answer", "choice"),
    [
        ("--time", "paid at", {"time": "paid at"}),
        ("--time", "none", {"time": None}),
        ("--key", "ordered at", {"key": ("ordered at",)}),
        ("--key", "none", {"key": ()}),
    ],
)
def test_what_the_data_do_not_tell_is_asked_with_the_columns_named(monkeypatch, option, answer, choice):
    asked = []

    def draft_problem(location, target, **choices):
        asked.append(choices)
        if len(asked) == 1:
            raise DraftQuestion("two columns have times", option, ("ordered at", "paid at"))
        return draft_orders(location)

    monkeypatch.setattr("penumbra.drafting.analysis.problem_analysis.draft_problem", draft_problem)
    with CliRunner().isolation(input=f"{answer}\n") as streams:
        monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
        drafting._draft_problem("orders.csv", target="x", time=None, no_time=False, key=(), no_key=False)
        said = streams[1].getvalue().decode()
    assert asked[1] == asked[0] | choice
    assert "two columns have times" in said
    assert "ordered at, paid at, none" in said


def test_elsewhere_the_question_is_the_refusal(monkeypatch):
    def draft_problem(location, target, **choices):
        raise DraftQuestion("two columns have times: pass --time", "--time", ("ordered at", "paid at"))

    monkeypatch.setattr("penumbra.drafting.analysis.problem_analysis.draft_problem", draft_problem)
    with CliRunner().isolation(), pytest.raises(DraftQuestion, match="pass --time"):
        drafting._draft_problem("orders.csv", target="x", time=None, no_time=False, key=(), no_key=False)


@pytest.mark.parametrize(
    ("location", "is_database", "place"),
    [
        ("{here}/in/orders.csv", False, "in/orders.csv"),
        ("/else/where/orders.csv", False, "/else/where/orders.csv"),
        ("{here}/shop.duckdb", True, "duckdb:///shop.duckdb"),
        ("/else/shop.duckdb", True, "duckdb:////else/shop.duckdb"),
        ("s3://bucket/orders/*.parquet", False, "s3://bucket/orders/*.parquet"),
        ("postgresql://me:${SHOP_PASSWORD}@db/shop?sslmode=require", True, None),
    ],
)
def test_a_place_is_told_from_the_projects_folder(tmp_path, monkeypatch, location, is_database, place):
    monkeypatch.chdir(tmp_path)
    location = location.replace("{here}", str(tmp_path))
    assert drafting._relate_location(location, is_database) == (place or location)


def test_a_place_in_a_project_that_was_entered_by_a_link_is_told_from_its_folder(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "project")
    monkeypatch.chdir(tmp_path / "link")
    assert drafting._relate_location(str(tmp_path / "link" / "a.csv"), is_database=False) == "a.csv"


@pytest.mark.parametrize("folder", ["data", "var", "problem"])
def test_data_in_a_folder_that_is_set_aside_are_refused(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DraftRefused, match=rf"{folder}/a\.csv is in {folder}/, which is set aside"):
        drafting._relate_location(str(tmp_path / folder / "a.csv"), is_database=False)


@pytest.mark.parametrize(
    ("place", "untracked"),
    [
        ("in/*.csv", "in/*.csv"),
        ("duckdb:///shop.duckdb", "shop.duckdb"),
        ("/else/orders.csv", ""),
        ("s3://orders/a.csv", ""),
    ],
)
def test_data_in_a_project_without_git_are_untracked(tmp_path, monkeypatch, place, untracked):
    monkeypatch.chdir(tmp_path)
    assert drafting._find_untracked_data(place) == untracked


@pytest.mark.parametrize(
    ("column", "name"), [("Größe, in €", "groe-in"), ("churned?", "churned"), ("№", "no"), ("€", "model")]
)
def test_the_model_is_called_after_the_target_in_plain_letters(tmp_path, monkeypatch, column, name):
    monkeypatch.chdir(tmp_path)
    draft = draft_orders("orders.csv")
    draft = type(draft)(**{**vars(draft), "target": type(draft.target)("binary", column)})
    assert drafting._choose_name(None, draft) == name
    assert drafting._choose_name("mine", draft) == "mine"


def test_a_generated_project_keeps_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".copier-answers.yml").write_text("name: parcels\n")
    assert drafting._choose_name(None, draft_orders("orders.csv")) == ""


@pytest.mark.parametrize(
    ("place", "name"),
    [("wetter/*.csv", "wetter/*.csv"), ("/in/wetter/*.csv", "wetter/*.csv"), ("*.csv", "*.csv"), ("in/a.csv", "a.csv")],
)
def test_data_by_a_pattern_are_called_by_their_folder_too(place: str, name: str) -> None:
    assert drafting._name_data(place) == name
