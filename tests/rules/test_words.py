"""The words that NIF uses, and those that it does not; see docs/developers/glossary.md."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from nif.settings import PROJECT
from tests.rules.source import modules, strings, templates

OTHER_WORDS = re.compile(
    r"\b((your|e-?mail|newsletter) campaigns?|(black|white)list\w*|round-?ups?|mailing group|"
    r"e-blasts?|(?<!double )opt(ed)?[- ]?(in|out)s?|amendments?)\b",
    re.IGNORECASE,
)
"""Words of other products for things that have another name here."""


def test_no_string_uses_a_word_that_the_glossary_replaces():
    said = [
        f"{path}:{line}: {text}"
        for path, tree in modules().items()
        for line, text in strings(tree)
        if OTHER_WORDS.search(text)
    ]

    assert said == []


@pytest.mark.parametrize("path", templates(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_template_uses_a_word_that_the_glossary_replaces(path):
    assert not OTHER_WORDS.search(path.read_text())


def test_a_word_that_the_glossary_replaces_is_found():
    for words in ("Your campaign", "BLACKLISTED", "a round-up", "Opt out", "opted in"):
        assert OTHER_WORDS.search(words)
    for words in ("The edition", "suppressed", "Adopt it", "a re-permission campaign", "champagne"):
        assert not OTHER_WORDS.search(words)


RIDDLES = re.compile(
    r"\b(anew|lets? (them |him |her |it )?go|letting (them |it )?go|whom(ever)?|whoever|whosoever|"
    r"the house(?!hold)|house's|of ours|(is|are) to be|nought|thereof|whence|wherefrom|"
    r"(the|circuit) brakes?|braked|pulses|askings|quiet readers?|signs? of life|"
    r"courier|charters?(?!, Georgia)|deeds?|befalls?|befell|sieve)\b",
    re.IGNORECASE,
)
"""Turns of phrase that make a reader stop, and the names of before that nobody would guess."""

WRITTEN = ("nif", "templates", "docs", "bench", "tests", "migrations")
"""Folders whose code and prose is plain: comments, docstrings, messages, pages and documents."""

MATERIAL = (
    "nif/demo/stories",
    "nif/web/static",
    "templates/public/policies/texts",
    "tests/corpus/injections.txt",
    "tests/rules/test_words.py",
    "tests/upgrades/schemas",
    "docs/developers/glossary.md",
)
"""Texts of the newsroom and of others, and the two places that name these words to avoid them."""


def written_files() -> Iterator[Path]:
    endings = {".py", ".md", ".html", ".txt", ".mjml", ".xml", ".toml"}
    for folder in WRITTEN:
        for path in sorted((PROJECT / folder).rglob("*")):
            name = path.relative_to(PROJECT).as_posix()
            if path.suffix in endings and path.is_file() and not name.startswith(MATERIAL):
                yield path
    yield from sorted(PROJECT.glob("*.md"))


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file in which people read; of code its comments, strings and names too."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text().splitlines(), start=1)
        return
    with tokenize.open(path) as source:
        for token in tokenize.generate_tokens(source.readline):
            if token.type == tokenize.NAME:
                yield token.start[0], token.string.replace("_", " ")
            elif token.type in {tokenize.COMMENT, tokenize.STRING}:
                for offset, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + offset, line


def may_have_riddles(path: Path) -> bool:
    """Whether a file has to be read by tokens, which takes long."""
    text = path.read_text()
    return bool(RIDDLES.search(text) or RIDDLES.search(text.replace("_", " ")))


def test_no_text_uses_an_unclear_phrase():
    found = [
        f"{path.relative_to(PROJECT)}:{line}: {match[0]}"
        for path in written_files()
        if may_have_riddles(path)
        for line, text in words_of(path)
        if (match := RIDDLES.search(text))
    ]

    assert found == []


def test_an_unclear_phrase_is_found():
    for words in ("counted anew", "Let go who did not answer", "whom the house mails", "the brake"):
        assert RIDDLES.search(words)
    for words in ("Unsubscribe non-responders", "renewed", "the household", "letter", "breakers"):
        assert not RIDDLES.search(words)
