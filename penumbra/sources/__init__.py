"""Where batches come from, for `problem/source.py`: tables in files and queries of databases, cut by periods of time.

One object is all that such a file has to hold::

    SOURCE = TableFiles("orders/*.csv", time="ordered_at", period="month")

The loader takes `batches`, `fetch` and `parse` from it. `read_numbers` and `read_times` are for `CONVERSIONS`.
"""

from penumbra.sources.conversions import read_numbers, read_times
from penumbra.sources.sql_query import SqlQuery
from penumbra.sources.table_files import MADE_UP_TIME, TableFiles

__all__ = ["MADE_UP_TIME", "SqlQuery", "TableFiles", "read_numbers", "read_times"]
