"""The words that NIF uses, and those that it does not; see docs/developers/glossary.md."""

import re

import pytest

from nif.settings import PROJECT
from tests.rules.source import modules, strings, templates

OTHER_WORDS = re.compile(
    r"\b((your|e-?mail|newsletter) campaigns?|(black|white)list\w*|round-?ups?|mailing group|"
    r"e-blasts?|(?<!double )opt(ed)?[- ]?(in|out)s?|amendments?)\b",
    re.IGNORECASE,
)
"""Words of other products for things that have another name here."""


def test_no_string_says_another_word():
    said = [
        f"{path}:{line}: {text}"
        for path, tree in modules().items()
        for line, text in strings(tree)
        if OTHER_WORDS.search(text)
    ]

    assert said == []


@pytest.mark.parametrize("path", templates(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_template_says_another_word(path):
    assert not OTHER_WORDS.search(path.read_text())


def test_another_word_is_recognised():
    for words in ("Your campaign", "BLACKLISTED", "a round-up", "Opt out", "opted in"):
        assert OTHER_WORDS.search(words)
    for words in ("The edition", "suppressed", "Adopt it", "a re-permission campaign", "champagne"):
        assert not OTHER_WORDS.search(words)
