"""What a card says of a version, from literal facts and records; and what of one that lacks them."""

import copy

import pytest

from monitoring.dashboard.model_cards.card_pages import CardSection, CardTable, ModelCard, format_card, render_card
from monitoring.dashboard.model_cards.card_sections import build_card

FACTS = {
    "candidate": "boosting",
    "settings": {"registry": {"model": "churn"}, "labels": {"delay_hours": 24.0}, "training": {"threshold": 0.3}},
    "train": ["2024-01"],
    "validation": ["2024-02"],
    "test": ["2024-03"],
    "left_out": {"2024-01-05": [["amount", "30 % of the rows lack it"], ["", "no rows"]]},
    "remarks": ["2024-04: no row has an outcome"],
    "threshold": 0.3,
    "metrics": {"log_loss": 0.5, "roc_auc": 0.75},
    "counts": {"region": {"north": 120, "south": 7}},
    "data_version": "abc.dir",
    "revision": "1234",
    "sha256": {"model.onnx": "ff"},
    "environment": {"python": "3.12"},
    "importance": [{"feature": "amount", "value": 0.125, "low": 0.0625, "high": 0.1875}],
    "uncertainty": {"coverage": 0.9, "method": "split", "rows": 3500, "limits": [0.5, 0.75]},
}
RECORDS = {
    "purpose": "Will a customer leave?\n\nIntended use: letters to customers.",
    "source": "Exports of the shop.",
    "row": "An order.",
    "labelled": "With its outcome.",
    "target": "Whether the customer left.",
    "time": "at",
    "key": ["order_id"],
    "batches": [
        {"batch": "2024-01", "part": "train", "rows": 1800, "rejected": 2},
        {"batch": "2024-03", "part": "test", "rows": 1700, "rejected": 0},
    ],
    "intervals": {"log_loss": [0.5, 0.4375, 0.5625], "roc_auc": [0.75, None, None]},
    "models": [
        {"model": "boosting", "scores": {"log_loss": 0.5, "roc_auc": 0.75}},
        {"model": "baseline", "scores": {"log_loss": 0.625}},
    ],
    "calibration": [{"predicted": 0.25, "observed": 0.125, "rows": 850}],
    "gate": {
        "overall": "not enough data",
        "checks": [
            {"name": "fairness", "measured": None, "limit": 0.2, "verdict": "not enough data", "sentence": "too few"}
        ],
    },
    "slices": [
        {
            "slice": "region=north",
            "rows": 900,
            "days": 31,
            "metric": "log_loss",
            "value": 0.5,
            "low": 0.25,
            "high": 0.75,
        }
    ],
    "worst": [{"slice": "region=south", "rows": 70, "days": 20, "excess": 0.25, "low": 0.125, "high": 0.375}],
    "groups": [
        {
            "column": "sex",
            "group": "f|<b>",
            "rows": 90,
            "days": 31,
            "metric": "selection_rate",
            "value": 0.5,
            "low": 0.25,
            "high": 0.75,
        }
    ],
    "fairness": [
        {
            "column": "sex",
            "comparison": "equalized_odds",
            "value": 0.125,
            "low": None,
            "high": None,
            "highest": "f|<b>",
            "lowest": "m",
            "ratio": 0.5,
        }
    ],
    "numbers": [{"feature": "amount", "low": 0.5, "high": 900.0, "missing": 0.25}],
    "cost": {"trials": 9, "cpu_seconds": 300.0, "latency_us": 20.0, "size_bytes": 250_000},
}


def sections(card: ModelCard) -> dict[str, CardSection]:
    return {section.title: section for section in card.sections}


def tables(section: CardSection) -> list[CardTable]:
    return section.filled_tables


def test_the_card_has_every_section_with_what_the_records_have():
    card = build_card(FACTS, RECORDS, "7")
    assert card.title == "churn, version 7"
    assert card.summary == "boosting, learnt from 3 batches, 2024-01 to 2024-03; the gate: not enough data."
    found = sections(card)
    assert list(found) == [
        *("Intended use", "Data sheet", "Results", "Gate", "Slices", "Fairness", "Limits", "Cost", "Lineage"),
    ]
    assert found["Intended use"].paragraphs == ["Will a customer leave?", "Letters to customers."]
    assert tables(found["Data sheet"])[0].rows[0] == ["2024-01", "learnt from in trials", "1,800", "2"]
    assert tables(found["Data sheet"])[1].rows == [["2024-01-05", "amount: 30 % of the rows lack it; no rows"]]
    assert tables(found["Results"])[0].rows == [["log-loss", "0.5 [0.4375, 0.5625]"], ["ROC AUC", "0.75 (no interval)"]]
    assert tables(found["Results"])[1].rows[1] == ["baseline", "0.625", ""]
    assert tables(found["Gate"])[0].rows == [["fairness", "not enough data", "", "0.2", "too few"]]
    assert tables(found["Slices"])[1].rows == [["region=south", "70", "0.25 [0.125, 0.375]"]]
    assert tables(found["Limits"])[0].rows == [["amount", "0.5", "900", "25.0%"]]
    assert tables(found["Limits"])[1].rows == [["region", "2", "south (7)"]]
    importance = tables(found["Results"])[3]
    assert importance.columns == ["feature", "mean", "least", "most"]
    assert importance.rows == [["amount", "0.125", "0.0625", "0.1875"]]
    sureness = dict(found["Results"].pairs)["how sure an answer is"]
    assert "90% of the cases, by split conformal prediction on 3,500 held-out rows" in sureness
    assert ("labels are due", "24 hours after") in found["Data sheet"].pairs


def test_settings_are_spelled_as_in_settings_toml_and_parameters_that_were_not_searched_for_name_their_candidate():
    settings = {"training": {"candidates": ["forest", "boosting"]}, "monitor": {"on_faults": True}}
    lineage = sections(build_card(FACTS | {"settings": settings, "parameters": {}}, RECORDS))["Lineage"]
    (table,) = (each for each in tables(lineage) if each.columns[0] == "setting")
    assert ["training.candidates", '["forest", "boosting"]'] in table.rows
    assert ["monitor.on_faults", "true"] in table.rows
    own = dict(lineage.pairs)["parameters"]
    assert own == "as problem/candidates.py has boosting in that code; none were searched for"


def test_where_neither_slices_are_named_nor_the_search_finds_one_the_card_says_which_is_which():
    told = sections(build_card(FACTS, RECORDS | {"slices": [], "worst": []}))["Slices"].paragraphs
    assert told == [
        "problem/slices.py names no slices.",
        "A search by all features and pairs of them found no slice that is surely worse than others on the same day.",
    ]


def test_many_batches_are_one_row_for_each_part_of_the_trials():
    parts = ["train"] * 11 + ["validation", "test"]
    batches = [
        {"batch": f"2024-{number:02}", "part": part, "rows": 1_000, "rejected": 1}
        for number, part in enumerate(parts, 1)
    ]
    sheet = sections(build_card(FACTS, RECORDS | {"batches": batches}))["Data sheet"]
    assert tables(sheet)[0].rows == [
        ["2024-01 to 2024-11 (11)", "learnt from in trials", "11,000", "11"],
        ["2024-12", "chose among candidates", "1,000", "1"],
        ["2024-13", "gave the scores", "1,000", "1"],
    ]


def test_what_to_do_next_at_a_terminal_is_not_on_the_card():
    facts = FACTS | {"remarks": ["Nothing is learnt from a day with data faults.\nNext: `penumbra quarantine`."]}
    assert (
        "Nothing is learnt from a day with data faults."
        in sections(build_card(facts, RECORDS))["Data sheet"].paragraphs
    )


def test_energy_is_an_estimate_with_its_formula():
    pairs = dict(sections(build_card(FACTS, RECORDS))["Cost"].pairs)
    assert pairs["processor time"].startswith("300.0 CPU seconds")
    assert pairs["energy, estimated"] == "1 Wh = CPU seconds · 12 W a core / 3600"
    assert "Energy is not measured" in sections(build_card(FACTS, RECORDS))["Cost"].paragraphs[0]


def test_a_version_from_before_there_were_cards_says_what_is_missing():
    card = build_card({"sha256": {}, "metrics": {"log_loss": 0.5}}, {})
    text = format_card(card)
    for words in (
        "What the model is for was not recorded",
        "Intervals were not recorded",
        "The gate's report was not recorded",
        "Scores of slices were not recorded",
        "Ranges of numbers were not recorded",
        "The cost of training was not recorded",
    ):
        assert words in text
    assert "| log-loss | 0.5000 |" in text


def test_a_problem_without_sensitive_columns_or_purpose_is_told_where_they_are_written():
    found = sections(build_card(FACTS, {"purpose": ""}))
    assert "problem/__init__.py" in found["Intended use"].paragraphs[0]
    assert "SENSITIVE of problem/schema.py" in found["Fairness"].paragraphs[0]


@pytest.mark.parametrize("write", [format_card, render_card])
def test_the_same_records_give_the_same_text_and_secrets_are_masked(write):
    facts = copy.deepcopy(FACTS)
    facts["settings"]["data"] = {"remote": "s3://bucket/path?key=planted"}
    records = RECORDS | {"source": "From https://user:planted@example.org/orders"}
    assert write(build_card(facts, records)) == write(build_card(copy.deepcopy(facts), dict(records)))
    assert "planted" not in write(build_card(facts, records))


def test_values_of_the_data_are_no_markup():
    card = build_card(FACTS, RECORDS)
    assert "<b>" not in format_card(card)
    assert "sex=f\\\\x7c\\\\x3cb\\\\x3e | selection rate | 90 |" in format_card(card)
    assert "<b>" not in render_card(ModelCard("<b>", "", [CardSection("a", ["<b>"], [("<b>", "<b>")])]))


@pytest.mark.parametrize("line", ["## Data sheet", "  # Gate", "|---|---|", "```", "~~~", "<script>", "===", "---"])
def test_no_line_of_the_purpose_is_structure_of_the_card(line):
    text = format_card(build_card(FACTS, RECORDS | {"purpose": f"Will they leave?\n{line}\n- a list"}))
    assert line not in text.partition("## Data sheet\n\n")[0].splitlines()
    assert f"\\{line.strip()}\n- a list" in text


def test_a_column_of_many_groups_hides_no_other_on_the_card():
    group = RECORDS["groups"][0]
    many = [{**group, "column": "age", "group": f"{n}"} for n in range(100)]
    table = tables(sections(build_card(FACTS, RECORDS | {"groups": [*many, group]}))["Fairness"])[1]
    assert len(table.rows) == 21
    assert table.rows[-1][0].startswith("sex=")
    assert table.caption.endswith("(21 of 101)")


def test_a_long_table_is_cut_and_says_so():
    many = [{**RECORDS["slices"][0], "slice": f"town={n}"} for n in range(41)]
    table = tables(sections(build_card(FACTS, RECORDS | {"slices": many}))["Slices"])[0]
    assert len(table.rows) == 40
    assert table.caption.endswith("(40 of 41)")


def test_the_settings_of_a_card_are_those_that_model_and_verdict_follow_from():
    settings = {
        "uncertainty": {"coverage": 0.9},
        "training": {"threshold": 0.3, "test_batches": 2, "folder": "var/training"},
        "promotion": {"loss": "auto", "approvers": ["ann"]},
        "monitor": {"accept": ["amount"], "webhook": ""},
    }
    shown = format_card(build_card({**FACTS, "settings": settings}, RECORDS))
    for name in ("uncertainty.coverage", "training.threshold", "training.test_batches", "promotion.loss"):
        assert name in shown
    assert "monitor.accept" in shown
    for name in ("training.folder", "promotion.approvers", "monitor.webhook"):
        assert name not in shown
    numbers = {name: value for name, value in FACTS.items() if name != "threshold"}
    assert "training.threshold" not in format_card(build_card({**numbers, "settings": settings}, RECORDS))


def test_whole_ends_of_ranges_are_written_in_full():
    numbers = [{"feature": "people", "low": -0.5, "high": 250000.0, "missing": 0.0}]
    shown = format_card(build_card(FACTS, {**RECORDS, "numbers": numbers}))
    assert "250,000" in shown
    assert "-0.5" in shown


def test_a_number_that_one_row_of_thousands_lacks_is_not_said_to_be_missing_nowhere():
    numbers = [{"feature": "age", "low": 18.0, "high": 70.0, "missing": 1 / 2600}]
    limits = sections(build_card(FACTS, RECORDS | {"numbers": numbers}))["Limits"]
    assert tables(limits)[0].rows == [["age", "18", "70", "<0.1%"]]


def test_made_up_days_are_called_so():
    card = build_card(FACTS, RECORDS | {"has_made_up_days": True})
    assert "learnt from 3 batches, 2024-01 to 2024-03 (made-up days)" in card.summary
    sheet = sections(card)["Data sheet"]
    assert dict(sheet.pairs)["time of a row"] == "at, on made-up days"
    assert sheet.paragraphs[0].startswith("The rows have no time: they were dealt to made-up days")
    assert "made-up" not in format_card(build_card(FACTS, RECORDS))
