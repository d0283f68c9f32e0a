"""Each need is met by one mechanism, which has one home; a second one is found here."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from nif.settings import PROJECT
from tests.rules.source import modules, templates


def method_calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == name
        ):
            yield node


def pages_of_its_own(tree: ast.AST) -> bool:
    """Whether code skips rows, reads one row too many, or takes a cursor apart."""
    one_too_many = [
        call
        for call in method_calls(tree, "limit")
        if isinstance(call.args[0], ast.BinOp) and ast.unparse(call.args[0]).endswith("+ 1")
    ]
    cursors = [
        call
        for name in ("partition", "rpartition", "split", "join")
        for call in method_calls(tree, name)
        if "'~'" in ast.unparse(call)
    ]
    answers = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value == "There is no such page."
    ]
    return bool(one_too_many or cursors or answers or any(method_calls(tree, "offset")))


MECHANISMS: dict[str, tuple[str, Callable[[ast.AST], bool], str]] = {
    "pages of lists": ("nif/paging.py", pages_of_its_own, "select(Story).limit(size + 1)")
}
"""Of each mechanism: its home, what finds another one, and code that would be one."""


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanism_has_one_home(name):
    home, is_another, _ = MECHANISMS[name]

    assert [path for path, tree in modules().items() if is_another(tree)] == [home]


@pytest.mark.parametrize("name", MECHANISMS)
def test_another_mechanism_would_be_found(name):
    _, is_another, example = MECHANISMS[name]

    assert is_another(ast.parse(example))


LINK_TO_A_PAGE = re.compile(r"[?&;](after|before)=|(after|before)=\w+\.(after|before)")


def test_links_between_pages_are_made_in_one_place():
    found = [
        path.relative_to(PROJECT).as_posix()
        for path in templates()
        if LINK_TO_A_PAGE.search(path.read_text())
    ]

    assert found == ["templates/parts/pages.html"]
