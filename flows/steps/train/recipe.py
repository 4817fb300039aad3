"""What names a recipe: the code of the problem and its building blocks, without what can't change a model.

Two versions of one recipe are compared otherwise than two recipes. Left out are comments, layout, docstrings, and what
only the service and people read of `problem/schema.py`, as long as nothing of the project reads it. (A version's
lineage has the digests of the files as they are.)
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from penumbra.core.settings import PROJECT_ROOT
from penumbra.storage import fingerprints

RECIPE_ROOMS = ("penumbra.features", "penumbra.rules", "penumbra.patterns", "penumbra.core.encoding")
SCHEMA_FILE = "problem/schema.py"
DOCUMENTING_NAMES = ("EXAMPLE", "OUTCOME", "QUESTION")  # of the schema; no fit and no gate reads them
READING_WORDS = frozenset(
    ("__doc__", "__dict__", "vars", "dir", "globals", "locals", "getattr", "inspect", "getmembers", "exec", "eval")
)  # with these, code may read its own docstrings, or names that it doesn't spell out


def fingerprint_recipe(candidate: str, parameters: Mapping[str, Any], root: Path = PROJECT_ROOT) -> str:
    """Compute a digest that two models share if they have the same recipe, on whatever data.

    Args:
        candidate: The candidate's name.
        parameters: Its parameters, of JSON's types.
        root: The folder of the project.

    Returns:
        A sha256 in hex of the candidate's name, its parameters, the lock of the libraries, the files beside the
        problem's modules, and the code of problem, features and patterns.
    """
    files = list_recipe_files(root)
    modules = [file for file in files if file.endswith(".py")]
    others = [file for file in files if not file.endswith(".py")]
    return fingerprints.compute_fingerprint(root, others, read_recipe_code(root, modules), candidate, dict(parameters))


def list_recipe_files(root: Path = PROJECT_ROOT) -> list[str]:
    """List the files that make a recipe: the problem, the building blocks it is composed of, and the encoding.

    Args:
        root: The folder of the project.

    Returns:
        Paths relative to `root`: the lock of the libraries, and modules.
    """
    entries = ("problem", "penumbra.core.encoding")
    return fingerprints.list_result_files(root, entries, RECIPE_ROOMS)


def read_recipe_code(root: Path, files: Iterable[str]) -> dict[str, str]:
    """Read the code of modules without what can't change a model.

    Args:
        root: The folder that paths are relative to.
        files: Paths of modules.

    Returns:
        By path: the same text for the same code. As written, where a module is no Python, or one of the project might
        read docstrings, or names that it doesn't spell out.
    """
    texts = {file: (root / file).read_text(encoding="utf-8") for file in files}
    try:
        trees = {file: _EffectiveCode().visit(ast.parse(text, file)) for file, text in texts.items()}
    except SyntaxError:
        return texts
    schema = trees.get(SCHEMA_FILE, ast.Module([], []))
    statements = [(node, _find_documenting_name(node)) for node in schema.body]
    schema.body = [node for node, name in statements if not name]
    own = [tree for file, tree in trees.items() if fingerprints.is_own_module(file.partition("/")[0])]
    words = {word for tree in own for word in _list_words(tree)}
    if words & READING_WORDS:
        return texts
    schema.body = [node for node, name in statements if not name or name in words]
    return {file: ast.unparse(tree) for file, tree in trees.items()}


class _EffectiveCode(ast.NodeTransformer):
    """Takes out statements without any effect: docstrings, other lone constants, and `pass`."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        return None if isinstance(node.value, ast.Constant) else node

    def visit_Pass(self, node: ast.Pass) -> None:
        return None


def _find_documenting_name(statement: ast.stmt) -> str:
    """Return the one of `DOCUMENTING_NAMES` that a statement only gives a value to; "" if it does anything else."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value)
        ):
            acts = value is None or any(isinstance(node, ast.Call | ast.NamedExpr) for node in ast.walk(value))
            return name if name in DOCUMENTING_NAMES and not acts else ""
    return ""


def _list_words(tree: ast.AST) -> Iterator[str]:
    """Yield the names that code spells out, whether as names, attributes, imports or texts."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word) | ast.Constant(value=str(word)):
                yield from (word, word.rpartition(".")[2])
