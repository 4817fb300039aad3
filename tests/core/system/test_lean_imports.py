"""What libraries load in vain isn't imported with them, and is there for who asks for it."""

import pytest

from tests.helpers.servers.processes import run_python

pytestmark = pytest.mark.slow  # each imports the libraries anew

IMPORTS = """
import sys
from penumbra.core.system.lean_imports import UNUSED, import_lean
for library in UNUSED:
    import_lean(library)
print({"pandas", "scipy.stats", "sqlalchemy"} & sys.modules.keys())
"""


def test_what_libraries_do_without_is_not_loaded_with_them() -> None:
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
    assert (
        run_python("import pandas, scipy.stats, sqlalchemy\n" + IMPORTS + "print(sys.modules['pandas'] is pandas)")[1]
        == "True"
    )


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


@pytest.mark.parametrize("before", ["import penumbra.core", "import penumbra.data.batches"])
def test_whoever_imports_dataframely_beside_the_engine_does_so_without_sqlalchemy(before: str) -> None:
    code = f"""
import sys
{before}
import dataframely
print("sqlalchemy" in sys.modules, dataframely.Int64().sqlalchemy_dtype.__name__, "dataframely.schema" in sys.modules)
import sqlalchemy.dialects.mssql
print([dataframely.Datetime().sqlalchemy_dtype(sqlalchemy.dialects.mssql.dialect())])
"""
    assert run_python(code) == ["False sqlalchemy_dtype True", "[DATETIME2(precision=6)]"]


def test_boosting_with_categories_is_fitted_without_pandas_and_scipys_statistics() -> None:
    code = """
from sklearn.ensemble import HistGradientBoostingClassifier
import numpy
rows = numpy.array([[category, number] for category in (0.0, 1.0) for number in range(40)])
model = HistGradientBoostingClassifier(categorical_features=[0], max_iter=5).fit(rows, rows[:, 0] == 1)
print(model.predict(rows[[3, 43]]).tolist(), {"pandas", "scipy.stats"} & sys.modules.keys())
"""
    assert run_python(IMPORTS + code) == ["set()", "[False, True] set()"]


def test_boosting_alone_is_loaded_without_the_estimators_and_the_parts_of_scipy_that_it_does_without() -> None:
    code = """
import sys
from monitoring.estimation.boosting import import_boosting
import numpy
rows = numpy.array([[category, number] for category in (0.0, 1.0) for number in range(40)])
made = import_boosting().HistGradientBoostingRegressor(categorical_features=[0], max_iter=5).fit(rows, rows[:, 0])
spared = {"pandas", "scipy.stats", "scipy.fft", "scipy.optimize._linprog"}
spared |= {"sklearn.ensemble._forest", "sklearn.linear_model._base"}
print(made.predict(rows[[3, 43]]).round(1).tolist(), spared & sys.modules.keys())
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
import scipy.optimize
print([model.fit(rows, rows[:, 0]).n_features_in_ for model in (LogisticRegression(), RandomForestClassifier(3))])
print(scipy.optimize.minimize_scalar(lambda x: (x - 2) ** 2).x.round(3))
"""
    assert run_python(code) == ["[0.3, 0.7] set()", "[2, 2]", "2.0"]


def test_scikit_learn_loads_scipys_statistics_when_it_calls_them() -> None:
    code = """
from sklearn.preprocessing import PowerTransformer, QuantileTransformer
rows = [[1.0], [2.0], [4.0], [8.0]]
print(QuantileTransformer(n_quantiles=4, output_distribution="normal").fit_transform(rows).ravel().round(2).tolist())
print(PowerTransformer(method="box-cox").fit_transform(rows).ravel().round(2).tolist(), "scipy.stats" in sys.modules)
import scipy.stats
print(scipy.stats.norm.ppf(0.5), scipy.stats.rankdata([3, 1]).tolist())
"""
    assert run_python(IMPORTS + code) == [
        "set()",
        "[-5.2, -0.43, 0.43, 5.2]",
        "[-1.34, -0.45, 0.45, 1.34] True",
        "0.0 [2.0, 1.0]",
    ]


def test_missing_values_of_pandas_in_a_transformers_output_are_still_refused() -> None:
    code = """
import pandas
from sklearn.compose import ColumnTransformer
frame = pandas.DataFrame({"a": pandas.array([1, None], dtype="Int64")})
try:
    ColumnTransformer([("same", "passthrough", ["a"])]).fit_transform(frame)
except ValueError as error:
    print("pandas.NA" in str(error))
"""
    assert run_python(IMPORTS + code) == ["set()", "True"]


def test_beside_other_threads_that_might_miss_them_all_is_loaded() -> None:
    start = "import threading\nover = threading.Event()\nthreading.Thread(target=over.wait).start()\n"
    code = "print(sorted({'pandas', 'scipy.stats', 'sqlalchemy'} & sys.modules.keys()))\nover.set()"
    assert run_python(start + IMPORTS + code)[1:] == ["['pandas', 'scipy.stats', 'sqlalchemy']"]


def test_a_deferred_name_is_what_it_stands_for_once_that_is_loaded_and_can_be_copied() -> None:
    code = """
import copy, pickle
from sklearn.preprocessing._data import stats
copies = [copy.copy(stats.norm), copy.deepcopy(stats.norm), pickle.loads(pickle.dumps(stats.norm))]
print([float(each.ppf(0.5)) for each in copies])
import scipy.stats
print(stats.norm is scipy.stats.norm, isinstance(scipy.stats.norm, stats.rv_continuous))
"""
    assert run_python(IMPORTS + code) == ["set()", "[0.0, 0.0, 0.0]", "True True"]


def test_a_deferred_name_that_is_called_while_it_is_deferred_is_loaded() -> None:
    code = """
from penumbra.core.system.lean_imports import hide_modules
with hide_modules(["scipy.stats"]):
    from scipy import stats
    print(stats.norm.ppf(0.5), stats.rankdata([3, 1]).tolist())
import scipy.stats
print(scipy.stats.norm is stats.norm)
"""
    assert run_python(code) == ["0.0 [2.0, 1.0]", "True"]
