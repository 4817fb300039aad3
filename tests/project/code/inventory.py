"""`python -m tests.project.code.inventory`: the figures of the code's order.

Files and lines by room, public names that several modules define, public functions that are one bare word, crowded
folders, and the longest files and functions. Public names are those that a module defines at its top level, without an
underscore at the beginning; tests, benchmarks and examples are other code and don't count, but for crowded folders.
"""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT

ROOMS = ("problem", "flows", "service", "monitoring", "penumbra", "deploy", "docs")
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # of a statement that has others in it
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class SourceFile:
    """A Python file: its path from the project's root, its lines, and its syntax tree."""

    path: str
    lines: int
    tree: ast.Module

    @property
    def room(self) -> str:
        """The folder that the file is in; within `penumbra` and other rooms with rooms of their own, two levels."""
        parts = self.path.split("/")[:-1]
        return "/".join(parts[:2])

    @property
    def code_lines(self) -> int:
        """The lines of the file without those of docstrings."""
        return self.lines - sum(_count_docstring_lines(node) for node in walk_statements(self.tree))

    def list_public_definitions(self) -> list[Definition]:
        """List the public functions and classes of the module's top level.

        Returns:
            Their syntax trees, in the order of the file.
        """
        return [node for node in self.tree.body if isinstance(node, Definition) and not node.name.startswith("_")]

    def list_functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        """List all functions and methods of the file, inner ones included.

        Returns:
            Their syntax trees, in no particular order.
        """
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        return [node for node in walk_statements(self.tree) if isinstance(node, functions)]


def list_inner_statements(node: ast.AST) -> list[ast.AST]:
    """List the statements directly inside one, or inside a module: a tenth of the nodes that are inside.

    Args:
        node: Its syntax tree.

    Returns:
        Their syntax trees, and those of the handlers of exceptions and of the cases of a match.
    """
    return [inner for block in BLOCKS for inner in getattr(node, block, ())]


def walk_statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Go through a module and all of its statements.

    Args:
        tree: The syntax tree.

    Yields:
        The syntax tree of each, in no particular order.
    """
    waiting = [tree]
    while waiting:
        yield (node := waiting.pop())
        waiting += list_inner_statements(node)


@cache
def read_source_files() -> tuple[SourceFile, ...]:
    """Read the project's Python files, without tests, benchmarks and examples.

    Returns:
        The files, sorted by their paths.
    """
    paths = sorted(path for room in ROOMS for path in (PROJECT_ROOT / room).rglob("*.py"))
    return tuple(_read_source_file(path) for path in paths)


def _read_source_file(path: Path) -> SourceFile:
    text = path.read_text(encoding="utf-8")
    return SourceFile(path.relative_to(PROJECT_ROOT).as_posix(), len(text.splitlines()), ast.parse(text))


def count_files_and_lines() -> dict[str, tuple[int, int]]:
    """Count files and lines by room.

    Returns:
        For each room its number of files and of lines.
    """
    counts: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for file in read_source_files():
        files, lines = counts[file.room]
        counts[file.room] = files + 1, lines + file.lines
    return dict(counts)


def find_shared_names() -> dict[str, list[str]]:
    """Find the public names that more than one module defines.

    Returns:
        For each such name the paths of the modules. `main`, which every command of a module is called, is left out.
    """
    modules = defaultdict(list)
    for file in read_source_files():
        for name in dict.fromkeys(node.name for node in file.list_public_definitions()):
            modules[name].append(file.path)
    return {name: paths for name, paths in sorted(modules.items()) if len(paths) > 1 and name != "main"}


def find_one_word_functions() -> list[str]:
    """Find the public functions whose name is one bare word.

    Returns:
        `path:line name` of each, without `main` and without those that click makes commands of, with their names.
    """
    return [
        f"{file.path}:{node.lineno} {node.name}"
        for file in read_source_files()
        for node in file.list_public_definitions()
        if not isinstance(node, ast.ClassDef) and "_" not in node.name and node.name != "main" and not _is_command(node)
    ]


def _is_command(node: Definition) -> bool:
    return any(ast.unparse(decorator).startswith("click.command") for decorator in node.decorator_list)


def count_public_functions() -> int:
    """Count the public functions of all modules' top levels, without `main`.

    Returns:
        Their number.
    """
    nodes = [node for file in read_source_files() for node in file.list_public_definitions()]
    return sum(not isinstance(node, ast.ClassDef) and node.name != "main" for node in nodes)


def find_long_files(longest: int) -> list[tuple[int, str]]:
    """Find the files with more lines, without docstrings, than a limit.

    Args:
        longest: The largest number of lines that is not reported.

    Returns:
        Lines and path of each, the longest first.
    """
    long_files = [file for file in read_source_files() if file.code_lines > longest]
    return sorted(((file.code_lines, file.path) for file in long_files), reverse=True)


def find_crowded_folders(most: int) -> list[tuple[int, str]]:
    """Find the folders with more modules than a limit, those of tests and benchmarks among them.

    Args:
        most: The largest number of modules that is not reported; `__init__.py` doesn't count.

    Returns:
        The number of modules and the path of each, the most first.
    """
    files = [path for room in (*ROOMS, "benchmarks", "tests") for path in (PROJECT_ROOT / room).rglob("*.py")]
    counts = Counter(path.parent.relative_to(PROJECT_ROOT).as_posix() for path in files if path.name != "__init__.py")
    return [(count, folder) for folder, count in counts.most_common() if count > most]


def measure_functions() -> list[tuple[int, str]]:
    """Measure the bodies of all functions, methods and inner functions.

    Returns:
        For each its lines (those of its body, without its docstring) and `path:line name`, the longest first.
    """
    measured = [
        (_count_body_lines(node), f"{file.path}:{node.lineno} {node.name}")
        for file in read_source_files()
        for node in file.list_functions()
    ]
    return sorted(measured, reverse=True)


def _count_docstring_lines(node: ast.AST) -> int:
    if not isinstance(node, Definition | ast.Module) or not ast.get_docstring(node):
        return 0
    return (node.body[0].end_lineno or 0) - node.body[0].lineno + 1


def _count_body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def main() -> None:
    print("room                             files   lines")
    for room, (files, lines) in sorted(count_files_and_lines().items()):
        print(f"{room:32} {files:5} {lines:7,}")
    files = read_source_files()
    print(f"{'all':32} {len(files):5} {sum(file.lines for file in files):7,}")
    shared, words, functions = find_shared_names(), find_one_word_functions(), measure_functions()
    print(f"\n{len(shared)} public names are defined in more than one module")
    for name, paths in shared.items():
        print(f"  {name}: {', '.join(paths)}")
    print(f"\n{len(words)} of {count_public_functions()} public functions are one bare word")
    for word in words:
        print(f"  {word}")
    lines = sorted(size for size, _ in functions)
    print(f"\n{len(lines)} functions: median {lines[len(lines) // 2]} lines, 90 % up to {lines[len(lines) * 9 // 10]}")
    for size, name in functions[:10]:
        print(f"  {size:4} {name}")
    print("\nfolders of more than 12 modules")
    for count, folder in find_crowded_folders(12):
        print(f"  {count:4} {folder}")
    print("\nfiles of more than 200 lines without docstrings")
    for size, path in find_long_files(200):
        print(f"  {size:4} {path}")


if __name__ == "__main__":
    main()
