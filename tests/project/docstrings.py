"""`python -m tests.project.docstrings [--sample N --seed S] [PATH ...]`: what the docstrings of public functions lack.

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

ROOMS = ("penumbra", "flows", "service", "monitoring", "deploy")
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
    """A public function or method: where it stands, and its syntax tree."""

    place: str
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
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        names = [each.arg for each in every if each.arg not in ("self", "cls") and not each.arg.startswith("_")]
        if unnamed := [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]:
            yield f"parameters not named: {', '.join(unnamed)}"
        returns = ast.unparse(self.node.returns) if self.node.returns else "None"
        is_property = any("property" in ast.unparse(each) for each in self.node.decorator_list)
        if returns not in ("None", "NoReturn") and not is_property and not RESULT.search(text):
            yield "result not described"
        annotations = " ".join([returns, *(ast.unparse(each.annotation) for each in every if each.annotation)])
        if any(table in annotations for table in TABLES) and not SHAPES.search(text):
            yield "arrays or frames without dtypes or columns"

    def _find_raise_faults(self, text: str) -> Iterator[str]:
        for name in sorted(_raised_in(self.node)):
            if name not in text.partition("Raises")[2]:
                yield f"raises {name}, which no Raises names"


def list_public_functions(paths: list[Path]) -> list[PublicFunction]:
    """Collect the public functions of modules, and the public methods of their public classes.

    Args:
        paths: Python files, or folders that are searched for them.

    Returns:
        The functions in the order of files and lines. Dunder and property-setter methods, and those whose meaning
        scikit-learn or logging fixes, are left out.
    """
    files = sorted(each for path in paths for each in ([path] if path.is_file() else path.rglob("*.py")))
    return [found for file in files for found in _functions_of(file)]


def _functions_of(file: Path) -> Iterator[PublicFunction]:
    tree, name = ast.parse(file.read_text(encoding="utf-8")), file.relative_to(PROJECT_ROOT).as_posix()
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else []
        for each in [node, *inside]:
            if isinstance(each, Function) and not each.name.startswith("_") and each.name not in PROTOCOL | {"main"}:
                yield PublicFunction(f"{name}:{each.lineno} {each.name}", each)


def _find_first_line_faults(text: str) -> Iterator[str]:
    first = text.split("\n\n")[0]
    if first.startswith(RIDDLES):
        yield f"first line begins with {first.split()[0]!r}"
    if not first.rstrip().endswith((".", ":", "!")):
        yield "first line is no sentence"


def _raised_in(node: Function) -> set[str]:
    raised = [each.exc for each in ast.walk(node) if isinstance(each, ast.Raise) and each.exc is not None]
    names = [ast.unparse(each.func if isinstance(each, ast.Call) else each).split(".")[-1] for each in raised]
    return {name for name in names if name[:1].isupper()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders; by default every room")
    parser.add_argument("--sample", type=int, default=0, help="so many functions, drawn with the seed")
    parser.add_argument("--seed", type=int, default=40)
    chosen = parser.parse_args()
    functions = list_public_functions([path.resolve() for path in chosen.paths] or [PROJECT_ROOT / r for r in ROOMS])
    if chosen.sample:
        functions = random.Random(chosen.seed).sample(functions, min(chosen.sample, len(functions)))
    faulty = {each.place: faults for each in functions if (faults := each.list_faults())}
    for place, faults in faulty.items():
        print(f"{place}: {'; '.join(faults)}")
    print(f"{len(functions) - len(faulty)} of {len(functions)} docstrings are complete")


if __name__ == "__main__":
    main()
