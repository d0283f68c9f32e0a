"""The source of NIF as a tree, for tests that police how it is written."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from nif.settings import PROJECT


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Every module of nif/, by its path from the project's folder."""
    return {
        path.relative_to(PROJECT).as_posix(): ast.parse(path.read_text())
        for path in sorted((PROJECT / "nif").rglob("*.py"))
    }


@functools.cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """A tree and all that is in it. Many rules ask, so each tree is walked once."""
    return tuple(ast.walk(tree))


def templates() -> list[Path]:
    return [path for path in sorted((PROJECT / "templates").rglob("*")) if path.is_file()]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return (node for node in nodes(tree) if isinstance(node, kinds))


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string of a module that is no docstring, with its line."""
    said = {id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr)}
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value
