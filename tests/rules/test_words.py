"""NIF has one word for each thing, which its readers and editors see; see the glossary."""

import re

import pytest

from nif.settings import PROJECT
from tests.rules.source import modules, strings, templates

WRONG = re.compile(
    r"\b(campaigns?|(black|white)list\w*|round-?ups?|mailing group|e-blasts?|"
    r"opt(ed)?[- ]?(in|out)s?|amendments?)\b",
    re.IGNORECASE,
)


def test_no_string_of_ours_says_a_word_that_is_not_ours():
    said = [
        f"{path}:{line}: {text}"
        for path, tree in modules().items()
        for line, text in strings(tree)
        if WRONG.search(text)
    ]

    assert said == []


@pytest.mark.parametrize("path", templates(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_template_says_a_word_that_is_not_ours(path):
    assert not WRONG.search(path.read_text())


def test_a_slip_would_be_seen():
    for words in ("Your campaign", "BLACKLISTED", "a round-up", "Opt out", "opted in"):
        assert WRONG.search(words)
    for words in ("The edition", "suppressed", "Adopt it", "champagne"):
        assert not WRONG.search(words)
