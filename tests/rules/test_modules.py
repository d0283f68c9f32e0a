import ast

import pytest

from nif.settings import PROJECT
from tests.rules.source import modules

LONGEST = 250
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


@pytest.mark.parametrize("path", [path for path in modules() if path not in PACKAGES])
def test_no_file_is_too_long_to_be_read_at_once(path):
    assert len((PROJECT / path).read_text().splitlines()) <= LONGEST


def test_there_is_no_drawer_for_everything():
    names = {path.rpartition("/")[2] for path in modules()}

    assert names.isdisjoint({"utils.py", "util.py", "helpers.py", "misc.py"})
