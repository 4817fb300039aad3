"""A package of which only those modules are loaded that something is taken from."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from penumbra.core.system.lazy_packages import defer_modules, load_before_package

FILES = {
    "__init__.py": """
from lazily.large import LARGE
from .small import SMALL as LITTLE
from . import plain
__all__ = ["LARGE", "LITTLE", "plain", "OWN"]
OWN = LITTLE + 1
""",
    "large.py": "LARGE = 100",
    "small.py": "SMALL = 1",
    "plain.py": "",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package that can be imported, in a package of its own; both are gone at the end."""
    (folder := tmp_path / "lazily").mkdir()
    for name, code in FILES.items():
        (folder / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield "lazily"
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazily"]:
        del sys.modules[name]


def list_loaded() -> list[str]:
    return sorted(name.partition(".")[2] for name in sys.modules if name.startswith("lazily."))


def test_a_name_of_a_package_loads_the_module_that_has_it_and_no_other(package):
    defer_modules(package)
    before = list_loaded()
    from lazily import LITTLE

    assert (LITTLE, before, list_loaded()) == (1, [], ["small"])


def test_modules_of_the_package_are_imported_as_ever(package):
    defer_modules(package)
    import lazily.large
    from lazily import plain

    assert (lazily.large.LARGE, plain.__name__, list_loaded()) == (100, "lazily.plain", ["large", "plain"])


def test_a_name_that_the_package_makes_itself_is_there(package):
    defer_modules(package)
    from lazily import OWN

    assert (OWN, list_loaded()) == (2, ["__init__", "large", "plain", "small"])


def test_who_takes_all_names_gets_all(package):
    defer_modules(package)
    names: dict[str, object] = {}
    exec("from lazily import *", names)
    assert {"LARGE", "LITTLE", "plain", "OWN"} <= names.keys()


def test_a_name_of_a_module_of_which_the_package_takes_all_is_found_by_the_list_that_the_module_begins_with(
    package, tmp_path
):
    (tmp_path / package / "__init__.py").write_text("from .small import *\nfrom .large import *\n")
    (tmp_path / package / "large.py").write_text("__all__ = ['LARGE',\n  'LARGER']\nLARGE, LARGER = 100, 1000\n")
    defer_modules(package)
    from lazily import LARGER

    assert (LARGER, list_loaded()) == (1000, ["large"])
    from lazily import SMALL

    assert (SMALL, list_loaded()) == (1, ["__init__", "large", "small"])


def test_a_name_that_is_nowhere_is_an_error_as_ever(package):
    defer_modules(package)
    with pytest.raises(ImportError, match="cannot import name 'NOTHING' from 'lazily'"):
        from lazily import NOTHING  # noqa: F401
    with pytest.raises(AttributeError, match="no attribute '__wrapped__'"):
        sys.modules["lazily"].__wrapped__  # noqa: B018


def test_asking_for_a_name_that_the_package_does_not_mention_loads_nothing(package):
    defer_modules(package)
    import lazily

    assert (hasattr(lazily, "METAFLOW_PACKAGE_POLICY"), list_loaded()) == (False, [])


def test_a_package_that_was_imported_before_stays_as_it_is(package):
    import lazily

    defer_modules(package)
    assert (sys.modules[package], lazily.OWN) == (lazily, 2)


def test_a_package_that_is_not_there_is_an_error_as_ever(package):
    defer_modules("no_such_package")
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package'"):
        import no_such_package  # noqa: F401


def test_a_module_is_loaded_without_the_code_of_its_package_which_runs_as_ever_afterwards(package):
    load_before_package("lazily.small")
    from lazily.small import SMALL

    assert (SMALL, package in sys.modules, list_loaded()) == (1, False, ["small"])
    import lazily

    assert (lazily.OWN, lazily.small is sys.modules["lazily.small"]) == (2, True)
    assert (list_loaded(), lazily.large.__spec__.origin) == (["large", "plain", "small"], lazily.large.__file__)


def test_a_package_that_does_not_import_a_module_that_was_loaded_before_it_has_it_nevertheless(package, tmp_path):
    (tmp_path / "lazily" / "__init__.py").write_text("")
    load_before_package("lazily.small")
    import lazily

    assert lazily.small is sys.modules["lazily.small"]


def test_no_module_of_a_package_that_was_imported_before_is_loaded_again(package):
    import lazily.small

    load_before_package("lazily.small")
    assert sys.modules["lazily.small"] is lazily.small


@pytest.mark.parametrize("prepare", [defer_modules, lambda _: load_before_package("lazily.small")])
def test_threads_that_need_a_package_at_once_wait_for_its_code(package, prepare, tmp_path):
    (tmp_path / "lazily" / "__init__.py").write_text("import time\ntime.sleep(0.2)\nOWN = object()")
    prepare(package)

    def import_own() -> object:
        from lazily import OWN

        return OWN

    with ThreadPoolExecutor(4) as threads:
        found = [each.result() for each in [threads.submit(import_own) for _ in range(4)]]
    assert found == [found[0]] * 4


def test_looking_for_a_module_of_a_package_leaves_no_trace(package):
    load_before_package("lazily.small")
    importlib.util.find_spec("lazily.large")
    import lazily.large

    assert lazily.large.__spec__.loader is lazily.large.__loader__
