"""The card of a version from a real training of orders: in the bundle, in the registry, from the command line."""

import json
from pathlib import Path

import pytest

from flows.steps.train.release import bundle_completion, card_records, outcome, registration
from monitoring.dashboard.model_cards import card_reader
from monitoring.dashboard.model_cards.card_pages import format_card
from monitoring.dashboard.model_cards.card_sections import build_card
from penumbra.data.versioning import versions
from penumbra.registry.bundles.manifest import CARD_FILES, BrokenBundle, read_manifest, verify_bundle
from penumbra.registry.models import ModelRegistry
from penumbra.sources import TableFiles
from tests.helpers.command_line import run_command_line
from tests.helpers.models.finished_trainings import finish_training, fit_trial
from tests.helpers.models.training_runs import prepare_run
from tests.helpers.problems.orders import load_orders

pytestmark = pytest.mark.slow

SENSITIVE = [
    (
        'OUTCOME = {"churned": False}',
        """OUTCOME = {"churned": False}
AGE = pl.col("age")
SENSITIVE = {
    "region": pl.col("region").cast(pl.String),
    "age group": pl.when(AGE < 40).then(pl.lit("below 40")).when(AGE >= 40).then(pl.lit("from 40")),
}
""",
    )
]
PURPOSE = '"""Will a customer leave?\n\nIntended use: letters to customers.\n"""\n'


@pytest.fixture
def train_orders(tmp_path, monkeypatch):
    """Trains on the orders of four months, with some text replaced, up to the outcome."""

    def train(**changes):
        problem = load_orders(tmp_path, **{"source": [("MONTHS = 6", "MONTHS = 4")], **changes})
        run = prepare_run(tmp_path / "run", problem, monkeypatch)
        made = finish_training(run, fit_trial(run))
        versions.get_dvc_file(run.settings.data).write_text("outs: []")
        return made

    return train


def test_a_registered_version_has_its_card_everywhere(train_orders, tmp_path, monkeypatch):
    made = train_orders(
        schema=SENSITIVE, __init__=[('"""Orders and whether their customers left afterwards."""\n', PURPOSE)]
    )
    checks = {check.name: check for check in made.gate.report.checks}
    assert checks["fairness"].verdict in ("pass", "fail")
    registration.register_outcome(made)
    models = ModelRegistry(made.settings.registry)
    folder = made.matrices.arrays.folder / "bundle"
    assert set(CARD_FILES) <= set(verify_bundle(folder)["sha256"])
    card = card_reader.read_card(models, "1")
    assert card.sections[0].paragraphs == ["Will a customer leave?", "Letters to customers."]
    without_number = build_card(read_manifest(folder), json.loads((folder / "card.json").read_text()))
    assert (folder / "card.md").read_text() == format_card(without_number)
    assert format_card(card) == format_card(card_reader.read_card(models, "1"))
    described = models.client.get_model_version(models.name, "1").description
    assert "## Intended use\n\nWill a customer leave?\n\nLetters to customers." in described
    assert "bundle/card.md" in described
    address = card_reader.link_card_page(models, "1", tmp_path)
    assert (tmp_path / address).read_text().startswith("<!doctype html>")
    assert card_reader.link_card_page(models, "9", tmp_path) == ""
    kept = next(Path(made.settings.registry.artifacts).rglob("bundle/card.json"))
    for damaged in ("{", "[]", "{}"):
        kept.write_text(damaged)
        assert card_reader.link_card_page(models, "1", tmp_path / "another") == ""
        with pytest.raises(BrokenBundle, match=r"card\.json: content is not what bundle.json says"):
            card_reader.read_card(models, "1")
    kept.write_text((folder / "card.json").read_text())
    for name, value in (("TRACKING", made.settings.registry.tracking), ("ARTIFACTS", made.settings.registry.artifacts)):
        monkeypatch.setenv(f"PENUMBRA_REGISTRY__{name}", str(value))
    assert run_command_line("card", "1").stdout == format_card(card)
    result = run_command_line("card", "9")
    assert (result.exit_code, result.stderr) == (1, "there is no version '9' in the registry: it has 1\n")
    assert "no version 'abc' in the registry: it has 1\n" in run_command_line("card", "abc").stderr


def test_the_records_have_the_cost_the_ranges_and_the_groups(train_orders):
    made = train_orders(schema=SENSITIVE)
    records = card_records.collect_card_records(made)
    assert records["cost"]["cpu_seconds"] == pytest.approx(outcome.sum_cpu_seconds(made))
    assert records["cost"]["cpu_seconds"] > made.cost.fit_cpu_seconds > 0
    assert records["cost"]["trials"] == 4  # of boosting and the baseline, on validation and test
    ranges = {each["feature"]: each for each in records["numbers"]}
    ages = made.matrices.arrays.read("inputs")[:, made.matrices.columns["names"].index("age")]
    assert (ranges["age"]["low"], ranges["age"]["high"]) == (ages.min(), ages.max())
    assert {each["column"] for each in records["groups"]} == {"region", "age group"}
    rows = [each["rows"] for each in records["groups"] if (each["column"], each["metric"]) == ("region", "accuracy")]
    assert sum(rows) == made.gate.rows.height
    assert [each["batch"] for each in records["batches"]] == made.plan.split.all


def test_the_records_say_whether_days_are_made_up(train_orders):
    made = train_orders()
    assert not card_records.collect_card_records(made)["has_made_up_days"]
    made.matrices.problem.source.parse = TableFiles("orders.csv", time="at", rows_per_day=5).parse
    assert card_records.collect_card_records(made)["has_made_up_days"]


def test_a_version_from_before_there_were_cards_has_one_of_what_its_run_has(train_orders, monkeypatch):
    monkeypatch.setattr(bundle_completion, "write_card_files", lambda *_: None)
    made = train_orders()
    registration.register_outcome(made)
    card = card_reader.read_card(ModelRegistry(made.settings.registry), "1")
    sections = {section.title: section for section in card.sections}
    assert "not recorded" in sections["Intended use"].paragraphs[0]
    assert sections["Gate"].tables[0].rows
    assert sections["Results"].filled_tables[0].rows


def test_a_changed_card_is_found_as_any_changed_file_of_a_bundle(train_orders):
    folder = bundle_completion.complete_bundle(train_orders())
    (folder / "card.md").write_text("# Another card\n")
    with pytest.raises(BrokenBundle, match=r"card\.md: content is not what bundle.json says"):
        verify_bundle(folder)
