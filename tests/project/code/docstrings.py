"""Lists what public functions' docstrings lack.

`python -m tests.project.code.docstrings [--sample N --seed S] [PATH ...]` prints it for some or all rooms.

A docstring is complete if its first line is one sentence that says what the function does, every parameter is named,
a result is described, arrays and frames come with dtypes or columns, every exception that the body raises is named
after "Raises", and an algorithm that comes from a paper names it. The last is for a reader to judge; the rest is here.
"""

import argparse
import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from penumbra.core.settings import PROJECT_ROOT

ROOMS = ("penumbra", "flows", "service", "monitoring", "deploy", "docs")
RIDDLES = ("What", "Which", "How", "Who", "Is ", "Are ", "Does ", "Did ", "To be", "Of ", "As ", "So ")
TABLES = ("ndarray", "DataFrame", "LazyFrame", "Series", "NDArray")
SHAPES = re.compile(
    r"float64|float32|int64|int32|\bint\b|bool|str\b|String|dtype|column|\[n|\[k|\[m|rows", re.IGNORECASE
)
RESULT = re.compile(r"\bReturns?\b|\bYields?\b|\bcontext manager\b", re.IGNORECASE)
PROTOCOL = {"fit", "predict", "predict_proba", "filter", "emit", "visit", "get_params", "set_params"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class PublicFunction:
    """A public function or method: `path:line name`, and its syntax tree."""

    location: str
    node: Function

    def list_faults(self) -> list[str]:
        """Name what the docstring lacks.

        Returns:
            A short sentence for each thing that is missing; empty for a complete docstring.
        """
        text = ast.get_docstring(self.node) or ""
        if not text:
            return ["no docstring"]
        return [*_find_first_line_faults(text), *self._find_signature_faults(text), *self._find_raise_faults(text)]

    def _find_signature_faults(self, text: str) -> Iterator[str]:
        arguments = self.node.args
        parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        names = [one.arg for one in parameters if one.arg not in ("self", "cls") and not one.arg.startswith("_")]
        if unnamed := [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]:
            yield f"parameters not named: {', '.join(unnamed)}"
        returns = ast.unparse(self.node.returns) if self.node.returns else "None"
        is_property = any("property" in ast.unparse(decorator) for decorator in self.node.decorator_list)
        if returns not in ("None", "NoReturn") and not is_property and not RESULT.search(text):
            yield "result not described"
        annotations = " ".join([returns, *(ast.unparse(one.annotation) for one in parameters if one.annotation)])
        if any(table in annotations for table in TABLES) and not SHAPES.search(text):
            yield "arrays or frames without dtypes or columns"

    def _find_raise_faults(self, text: str) -> Iterator[str]:
        for name in sorted(_list_raised(self.node)):
            if name not in text.partition("Raises")[2]:
                yield f"raises {name}, which no Raises names"


def list_public_functions(paths: list[Path]) -> list[PublicFunction]:
    """Collect the public functions of modules, and the public methods of their public classes.

    Args:
        paths: Python files, or folders that are searched for them.

    Returns:
        The functions in the order of files and lines. Dunder and property-setter methods, and those whose meaning
        scikit-learn, logging or click fixes, are left out.
    """
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))
    return [function for file in files for function in _list_functions_of(file)]


def _list_functions_of(file: Path) -> Iterator[PublicFunction]:
    tree, name = ast.parse(file.read_text(encoding="utf-8")), file.relative_to(PROJECT_ROOT).as_posix()
    for node in tree.body:
        members = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        for member in [node, *members]:
            if isinstance(member, Function) and _is_public(member):
                yield PublicFunction(f"{name}:{member.lineno} {member.name}", member)


def _is_public(node: Function) -> bool:
    """Say whether a function is called by others: not by click, for which a docstring is the help of a command."""
    is_command = any(ast.unparse(decorator).startswith("click.command") for decorator in node.decorator_list)
    return not (node.name.startswith("_") or node.name in PROTOCOL | {"main"} or is_command)


def _find_first_line_faults(text: str) -> Iterator[str]:
    first = text.split("\n\n")[0]
    if first.startswith(RIDDLES):
        yield f"first line begins with {first.split()[0]!r}"
    if not first.rstrip().endswith((".", ":", "!")):
        yield "first line is no sentence"


def _list_raised(node: Function) -> set[str]:
    raised = [inner.exc for inner in ast.walk(node) if isinstance(inner, ast.Raise) and inner.exc is not None]
    names = [ast.unparse(error.func if isinstance(error, ast.Call) else error).split(".")[-1] for error in raised]
    return {name for name in names if name[:1].isupper()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; by default every room")
    parser.add_argument("--sample", type=int, default=0, help="so many functions, drawn with the seed")
    parser.add_argument("--seed", type=int, default=40)
    arguments = parser.parse_args()
    functions = list_public_functions([path.resolve() for path in arguments.paths] or [PROJECT_ROOT / r for r in ROOMS])
    if arguments.sample:
        functions = random.Random(arguments.seed).sample(functions, min(arguments.sample, len(functions)))
    faulty = {function.location: faults for function in functions if (faults := function.list_faults())}
    for location, faults in faulty.items():
        print(f"{location}: {'; '.join(faults)}")
    print(f"{len(functions) - len(faulty)} of {len(functions)} docstrings are complete")


if __name__ == "__main__":
    main()
