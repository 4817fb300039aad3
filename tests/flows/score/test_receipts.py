"""What is said of tables that were scored."""

import datetime as dt
from types import SimpleNamespace

import dataframely as dy

from flows.steps.score.parts.part_facts import PartFacts
from flows.steps.score.receipts import format_receipts
from flows.steps.score.table_job import BegunTable, TableReceipt


class Row(dy.Schema):
    color = dy.Int64(is_in=[*range(30)], nullable=True)
    tags = dy.List(dy.String(), min_length=1, nullable=True)
    code = dy.String(max_length=1, nullable=True)


def test_what_was_expected_names_a_few_of_many_values_and_suits_texts_and_lists():
    reasons = {"color|is_in": 1, "tags|min_length": 1, "code|max_length": 1}
    facts = PartFacts(rows=4, answered=1, rejected=3, reasons=reasons, versions={"1": 1})
    now = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
    receipt = TableReceipt(BegunTable("in.csv", "digest", 4, now, "0123ab"), facts, "out.csv", "out.rejected.csv", now)
    said = "\n".join(format_receipts([(receipt, True)], SimpleNamespace(Row=Row)))
    assert "18, 19 and 10 more; tags a length of at least 1; code a length of at most 1\n" in said
