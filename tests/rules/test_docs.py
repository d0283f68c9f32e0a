"""The documents: their links lead somewhere, and every decision stands in the index."""

import re
from pathlib import Path

import pytest

from nif.settings import PROJECT

DOCUMENTS = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]+)(?:#[^)]*)?\)")
DECISIONS = PROJECT / "docs" / "decisions"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_links_of_a_document_lead_to_existing_files(path: Path) -> None:
    broken = [link for link in LINK.findall(path.read_text()) if not (path.parent / link).exists()]

    assert broken == []


def test_the_index_lists_every_decision_with_its_title() -> None:
    index = (DECISIONS / "README.md").read_text()
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        number, title = path.read_text().partition("\n")[0].removeprefix("# ").split(". ", 1)
        assert f"| [{path.name[:4]}]({path.name}) | {title} |" in index, path.name
        assert int(number) == int(path.name[:4])


def test_modules_that_documents_name_exist() -> None:
    names = re.compile(r"\bnif/[\w/]+\.py\b")
    missing = [
        (path.name, name)
        for path in DOCUMENTS
        for name in names.findall(path.read_text())
        if not (PROJECT / name).exists()
    ]

    assert missing == []
