"""The registry on a real PostgreSQL."""

import psycopg
import pytest

from tests.helpers.servers import postgres_server
from tests.helpers.servers.processes import run_python

# A process that has imported MLflow, whose three children meet an empty database in the same moment.
THREE_RECORD = """
import os, sys
from penumbra.core.settings import RegistrySettings
from penumbra.registry.models import ModelRegistry
from penumbra.registry.tracking.run_records import FinishedRun

def record():
    registry = RegistrySettings(tracking="{tracking}", artifacts="{artifacts}", model="m", signed_by=[])
    print(ModelRegistry(registry).record(FinishedRun("train", 1, 2)), flush=True)
    os._exit(0)

children = [os.fork() or record() for _ in range(3)]
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


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


@pytest.mark.slow
def test_three_processes_that_meet_an_empty_database_all_record_into_one_experiment(postgres, tmp_path):
    tracking = postgres.create_database("empty")
    recorded = run_python(THREE_RECORD.format(tracking=tracking, artifacts=tmp_path))
    with psycopg.connect(tracking) as connection:
        experiments = connection.execute("SELECT name FROM experiments WHERE name <> 'Default'").fetchall()
        runs = connection.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED'").fetchall()
    assert (experiments, sorted(run for (run,) in runs)) == ([("m",)], sorted(recorded))
    assert len(recorded) == 3
