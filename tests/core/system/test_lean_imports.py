"""What libraries load in vain isn't imported with them, and is there for who asks for it."""

from tests.helpers.processes import run_python

IMPORTS = """
import sys
from penumbra.core.system.lean_imports import import_lean
for library in ("dataframely", "sklearn.base"):
    import_lean(library)
print({"pandas", "sqlalchemy"} & sys.modules.keys())
"""


def test_neither_pandas_nor_sqlalchemy_is_loaded_with_libraries_that_do_without() -> None:
    assert run_python(IMPORTS) == ["set()"]


def test_who_imports_them_later_gets_them_and_scikit_learn_works_on_frames() -> None:
    code = """
import pandas, polars, sqlalchemy
from sklearn.preprocessing import StandardScaler
frame = pandas.DataFrame({"a": [1.0, 3.0]})
print(StandardScaler().set_output(transform="pandas").fit_transform(frame)["a"].to_list())
print(polars.from_pandas(frame)["a"].to_list(), sqlalchemy.create_engine("sqlite://").dialect.name)
"""
    assert run_python(IMPORTS + code)[1:] == ["[-1.0, 1.0]", "[1.0, 3.0] sqlite"]


def test_what_was_imported_before_stays() -> None:
    assert run_python("import pandas, sqlalchemy\n" + IMPORTS + "print(sys.modules['pandas'] is pandas)")[1] == "True"


def test_dataframely_makes_tables_of_any_database_though_it_was_imported_without_sqlalchemy() -> None:
    code = """
import dataframely
class Row(dataframely.Schema):
    when = dataframely.Datetime(primary_key=True)
    parts = dataframely.Struct({"a": dataframely.Int64()})
import sqlalchemy.dialects.mssql, sqlalchemy.dialects.postgresql
print(sqlalchemy.Table("rows", sqlalchemy.MetaData(), *Row.to_sqlalchemy_columns(
    sqlalchemy.dialects.postgresql.dialect())).columns.keys())
print([Row.when.sqlalchemy_dtype(sqlalchemy.dialects.mssql.dialect())])
"""
    assert run_python(IMPORTS + code) == ["set()", "['when', 'parts']", "[DATETIME2(precision=6)]"]
