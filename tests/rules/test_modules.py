import ast

import pytest

from tests.rules.source import modules

PACKAGES = [path for path in modules() if path.endswith("/__init__.py")]


@pytest.mark.parametrize("path", PACKAGES)
def test_a_package_says_one_sentence_about_itself_and_nothing_else(path):
    tree = modules()[path]
    sentence = ast.get_docstring(tree)

    assert len(tree.body) == 1
    assert sentence is not None
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ". " not in sentence


def test_there_is_no_drawer_for_everything():
    names = {path.rpartition("/")[2] for path in modules()}

    assert names.isdisjoint({"utils.py", "util.py", "helpers.py", "misc.py"})
