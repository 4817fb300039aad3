"""A draft in words."""

from dataclasses import dataclass, replace
from datetime import date

from penumbra.cli.reports.draft_report import describe_draft, describe_next_steps
from penumbra.core.settings import load_settings
from tests.helpers.problems.drafts import COMMENT, RETURNED, draft_orders, drop_key


@dataclass(frozen=True)
class Batch:
    name: str
    complete: date


BATCHES = [Batch("2024-01", date(2024, 2, 1)), Batch("2024-02", date(2024, 3, 1))]


def test_what_was_found_is_said_line_by_line():
    assert describe_draft(draft_orders("orders.csv"), BATCHES, ["training.threshold = 0.5"]).splitlines() == [
        "1,440 rows on 120 days, 2024-01-01 to 2024-04-29",
        "  target    returned?: binary, yes is 'yes'",
        "  time      ordered at; 2 batches by month, the last complete on 2024-03-01",
        "  key       order",
        "  features  6: ordered at (hour, weekday), shop, amount (EUR), class, gift?",
        "  left out  comment (free text, as good as never the same)",
        "  note      a note",
        "  setting   training.threshold = 0.5",
    ]


def test_the_last_day_is_that_of_the_last_row_and_no_end_of_its_period():
    years = {date(1974, 1, 1): {"yes": 7}, date(2000, 1, 1): {"no": 9}}
    draft = replace(
        draft_orders("orders.csv"), days=2, first_day=date(1974, 1, 1), last_day=date(2000, 12, 31), day_rows=years
    )
    assert describe_draft(draft, BATCHES, []).startswith("1,440 rows on 2 days, 1974-01-01 to 2000-01-01\n")


def test_made_up_days_are_called_so():
    draft = draft_orders("orders.csv")
    made_up = replace(draft, source=replace(draft.source, options={"rows_per_day": 12}))
    said = describe_draft(made_up, BATCHES, []).splitlines()
    assert said[0] == "1,440 rows on 120 made-up days"
    assert said[2] == "  time      ordered at, which the source makes up; 2 batches by month"


def test_a_column_that_tells_the_target_is_named_with_the_outcome():
    draft = draft_orders("orders.csv")
    refund = replace(RETURNED, name="refund", reason="its value tells the target")
    said = describe_draft(replace(draft, columns=(*draft.columns, refund)), BATCHES, [])
    assert "  outcome   refund, which requests don't have (its value tells the target)" in said.splitlines()


def test_a_draft_without_a_key_says_what_that_means():
    said = describe_draft(drop_key(draft_orders("orders.csv")), BATCHES, [])
    assert "  key       none: labels are joined by the prediction's id alone" in said


def test_names_of_the_data_do_nothing_to_the_terminal():
    draft = draft_orders("orders.csv")
    columns = (*draft.columns[:-1], replace(COMMENT, name="\x1b[2J\nok"), draft.columns[-1])
    said = describe_draft(replace(draft, columns=columns), BATCHES, [])
    assert "\x1b" not in said
    assert "\\x1b[2J\\x0aok" in said


def test_a_column_without_a_name_is_called_one():
    draft = draft_orders("orders.csv")
    columns = (
        *draft.columns[:-1],
        replace(COMMENT, name="", reason="column 1, which has no name"),
        draft.columns[-1],
    )
    said = describe_draft(replace(draft, columns=columns), BATCHES, [])
    assert "left out  column 1, which has no name" in said


def test_the_next_commands_can_be_pasted_whatever_the_names_are():
    steps = describe_next_steps("my orders' file.csv", {"it's": 'a"b'}, load_settings(environ={}), is_committed=False)
    assert "git init && git add --all && git commit" in steps
    assert """'A first problem, drafted from my orders'"'"' file.csv'""" in steps
    assert """127.0.0.1:3000/predict -d '{"it'"'"'s": "a\\"b"}'""" in steps
    assert "First mend" not in steps
    found = describe_next_steps("a.csv", {}, load_settings(environ={}), is_committed=True, has_findings=True)
    assert "First mend in problem/ what the doctor has found" in found
    assert found.index("First mend") < found.index("  make train")
    assert "git init" not in describe_next_steps("a.csv", {}, load_settings(environ={}), is_committed=True)


def test_data_that_git_does_not_have_are_ignored_before_the_commit():
    steps = describe_next_steps("*.csv", {}, load_settings(environ={}), is_committed=True, untracked="my orders/*.csv")
    ignoring, committing = "  echo '/my orders/*.csv' >> .gitignore\n", "  git add --all"
    assert ignoring + committing in steps
    assert "git needn't have the data" in steps
    assert "gitignore" not in describe_next_steps("a.csv", {}, load_settings(environ={}), is_committed=True)
