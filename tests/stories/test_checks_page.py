"""docs/editors/checks.md lists every check in the words of the code."""

import ast
import inspect
import re
import textwrap

from nif.settings import PROJECT
from nif.stories.checks import CHECKS, StoryCheck

PAGE = PROJECT / "docs" / "editors" / "checks.md"
MEANS = {"BLOCK": "stops", "DECIDE": "stops, unless decided", "WARN": "says so"}


def levels(source: str) -> set[str]:
    """The levels of all that a check yields; two values are of the usual level."""
    yielded = [
        node.value
        for node in ast.walk(ast.parse(textwrap.dedent(source)))
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple)
    ]
    return {
        ast.unparse(found.elts[2]).rpartition(".")[2] if len(found.elts) == 3 else "BLOCK"
        for found in yielded
    }


def row(code: str, check: StoryCheck) -> str:
    """A row of the table: code, requirement, and effect."""
    said, _, asked = (inspect.getdoc(check) or "").partition("\n")[0].partition(": ")
    assert said == code
    source = inspect.getsource(check)
    found = levels(source)
    for helper in re.findall(r"\b(_[a-z_]+)\(", source):
        found |= levels(inspect.getsource(getattr(inspect.getmodule(check), helper)))
    does = ", or ".join(MEANS[name] for name in MEANS if name in found)
    return f"| {code} | {asked[:1].upper()}{asked[1:]} | {does} |"


def test_the_page_has_one_row_for_every_check() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| G\d", line)]

    assert rows == [row(*each) for each in CHECKS.items()]
