"""How the packages, modules and classes of nif/ are named; docs/developers/layout.md says why."""

import ast
from collections import Counter

import pytest

from nif.settings import PROJECT
from tests.rules.source import modules, nodes

PACKAGES = sorted(
    path.relative_to(PROJECT).as_posix() for path in (PROJECT / "nif").rglob("__init__.py")
)

STANDARD_TERMS = {"paging", "publishing", "planning", "column_mapping", "name_matching"}
"""Modules that are named by an activity, because the field has no other name for it."""


@pytest.mark.parametrize("path", PACKAGES)
def test_the_init_file_of_a_package_has_one_sentence_and_nothing_else(path):
    tree = modules()[path]
    sentence = ast.get_docstring(tree)

    assert len(tree.body) == 1
    assert sentence is not None
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ". " not in sentence


def test_no_module_is_called_utils_or_helpers():
    names = {path.rpartition("/")[2] for path in modules()}

    assert names.isdisjoint({"utils.py", "util.py", "helpers.py", "misc.py"})


def test_a_module_is_named_by_a_noun():
    names = {path.rpartition("/")[2].removesuffix(".py") for path in modules()}

    assert {name for name in names if name.endswith("ing")} <= STANDARD_TERMS


def test_no_two_classes_have_the_same_name():
    names = Counter(
        node.name
        for tree in modules().values()
        for node in nodes(tree)
        if isinstance(node, ast.ClassDef)
    )

    assert [name for name, count in names.items() if count > 1] == []
