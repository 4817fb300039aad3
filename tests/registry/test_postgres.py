"""The registry on a real PostgreSQL."""

import psycopg
import pytest

from tests.helpers import postgres_server


@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)], ids=["elsewhere", "in CI"]
)
def test_without_postgresql_its_tests_are_skipped_and_fail_where_one_is_required(
    monkeypatch, tmp_path, required, outcome
):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres_server, "DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("REQUIRE_POSTGRES", required)
    with pytest.raises(outcome, match="no PostgreSQL: install one"):
        postgres_server.find_postgres()


def test_a_database_that_was_created_answers(postgres):
    with psycopg.connect(postgres.create_database("answers")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("answers",)
