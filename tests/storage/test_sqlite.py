import contextlib
import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from penumbra.storage.sqlite import ROWS_PER_STATEMENT, insert_rows

ROWS = st.lists(st.tuples(st.integers(0, 99), st.text(max_size=3)), max_size=3 * ROWS_PER_STATEMENT)


@given(ROWS)
def test_rows_are_inserted_as_each_would_be_by_itself(rows):
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for table in ("one", "other"):
            db.execute(f"CREATE TABLE {table} (number INTEGER PRIMARY KEY, word TEXT)")
        inserted = insert_rows(db, "INSERT OR IGNORE INTO one {rows}", rows)
        each = [db.execute("INSERT OR IGNORE INTO other VALUES (?, ?)", row).rowcount for row in rows]
        assert inserted == sum(each)
        found = [db.execute(f"SELECT * FROM {table} ORDER BY number").fetchall() for table in ("one", "other")]
    assert found[0] == found[1]
