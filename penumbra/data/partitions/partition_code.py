"""The code that partitions of the data store depend on: contract, parsing and features, and what they may read."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from penumbra.core.problem import PROBLEM_PARTS
from penumbra.core.project_root import CODE_ROOT
from penumbra.storage import fingerprints

STORED_PARTS = ("schema", "source", "features")  # of a problem, those that the rows of the store depend on
ENGINE_MODULES = ("penumbra.data.partitions.derivation", "penumbra.core.loading.problem_defaults", "penumbra.sources")
ENGINE_ROOMS = (
    *("penumbra.features", "penumbra.core.columns", "penumbra.core.encoding", "penumbra.core.contract.record_fields"),
    *("penumbra.data", "penumbra.sources", "penumbra.core.loading.problem_defaults"),
)


def fingerprint_partition_code(parts: Mapping[str, Path]) -> str:
    """Compute a digest of everything but its raw files that a partition depends on.

    Of the problem's folder all modules count but those that only its other parts import (candidates, slices and rules),
    and all files that aren't Python. So a table that is read by a path that only the running code knows is in it, and a
    new candidate leaves the partitions alone.

    Args:
        parts: The Python file of each of `STORED_PARTS`, by name.

    Returns:
        SHA-256 in hexadecimal, of modules, tables, and the versions of the libraries that are imported.

    Raises:
        OSError: A file can't be read.
    """
    root, package = _locate_package(parts["schema"].parent)
    modules = _list_stored_modules(root, package)
    own_packages = sorted({name.partition(".")[0] for name in modules})
    tables = [path for name in own_packages for path in fingerprints.list_table_files(root / name)]
    files = [*fingerprints.list_module_paths(root, modules), *tables]
    own = fingerprints.hash_files(root, [path.relative_to(root).as_posix() for path in files])
    engine = fingerprints.list_module_files(CODE_ROOT, ENGINE_MODULES, ENGINE_ROOMS)
    libraries = {
        **fingerprints.list_library_versions(CODE_ROOT, ENGINE_MODULES),
        **fingerprints.list_library_versions(root, modules),
    }
    return fingerprints.compute_fingerprint(CODE_ROOT, engine, own, libraries)


def _locate_package(folder: Path) -> tuple[Path, str]:
    """Return the folder that the dotted name of a package begins at, and that name."""
    root = folder.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    return root, ".".join(folder.relative_to(root).parts)


def _list_stored_modules(root: Path, package: str) -> list[str]:
    folder, imports = root.joinpath(*package.split(".")), fingerprints.map_imports(root, [package])
    present = [part for part in PROBLEM_PARTS if (folder / f"{part}.py").is_file()]
    split = [[part for part in present if (part in STORED_PARTS) is is_stored] for is_stored in (True, False)]
    stored, unstored = (_list_reached(imports, [f"{package}.{part}" for part in parts]) for parts in split)
    return sorted(name for name in imports.keys() - (unstored - stored) if fingerprints.is_own_module(name))


def _list_reached(imports: Mapping[str, Sequence[str]], modules: Iterable[str]) -> set[str]:
    """The modules that some of them import, directly or through others, and these themselves."""
    waiting, reached = [*modules], set[str]()
    while waiting:
        if (module := waiting.pop()) in imports and module not in reached:
            reached.add(module)
            waiting += imports[module]
    return reached
