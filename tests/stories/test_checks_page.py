"""docs/editors/checks.md lists every check in the words of the code."""

import inspect
import re

from nif.settings import PROJECT
from nif.stories.checks import CHECKS, StoryCheck

PAGE = PROJECT / "docs" / "editors" / "checks.md"
MEANS = {"BLOCK": "stops", "DECIDE": "stops, unless decided", "WARN": "says so"}


def row(check: StoryCheck) -> str:
    """A row of the table: codes, requirement, and effect."""
    codes, _, asked = (inspect.getdoc(check) or "").partition("\n")[0].partition(": ")
    source = inspect.getsource(check)
    for helper in re.findall(r"\b(_[a-z_]+)\(", source):
        source += inspect.getsource(getattr(inspect.getmodule(check), helper))
    found = {name for name in MEANS if f"FindingLevel.{name}" in source}
    calls = re.findall(r"CheckFinding\((?:[^()]|\([^()]*\))*\)", source)
    if any("FindingLevel." not in call for call in calls) or not calls:
        found.add("BLOCK")
    does = ", or ".join(MEANS[name] for name in MEANS if name in found)
    return f"| {codes} | {asked[:1].upper()}{asked[1:]} | {does} |"


def test_the_page_has_one_row_for_every_check() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if re.match(r"\| G\d", line)]

    assert rows == [row(check) for check in CHECKS]
