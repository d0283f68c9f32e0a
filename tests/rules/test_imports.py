import ast
import subprocess
import sys
from pathlib import Path

from nif.settings import PROJECT
from tests.rules.source import functions, modules, nodes

PROVIDER = {"nif/mail/sendgrid.py"}
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def imported(tree):
    """The top-level names of what a module imports."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def test_a_package_imports_only_from_packages_below_it():
    linted = subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_no_function_contains_an_import():
    hidden = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


def test_only_the_mailer_imports_the_provider():
    knowing = {path for path, tree in modules().items() if "sendgrid" in imported(tree)}

    assert knowing <= PROVIDER


def test_nif_imports_nothing_from_its_tests():
    assert [path for path, tree in modules().items() if "tests" in imported(tree)] == []
