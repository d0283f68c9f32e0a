"""Mixtures of the corpus, through what everything that is shown goes through."""

import json
from xml.etree import ElementTree as ET

from hypothesis import given, settings

from nif.stories import markup
from nif.typography import legible, linked
from nif.web.public.markup import add, document, root
from tests.corpus import mixed
from tests.corpus.looking import FROM_MARKS, is_harmless, look

EMPTY = look("")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixed())
def test_marks_make_nothing_but_what_they_may(text: str) -> None:
    page = look(str(markup.html(text)))

    assert page.shapes - EMPTY.shapes - FROM_MARKS == set()
    assert all(is_harmless(value) for _, _, value in page.addresses)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixed(), mixed(60))
def test_a_sentence_links_its_names_and_nothing_else(text: str, name: str) -> None:
    said = {"text": f"{text} {name} {text}", "links": [[name, "https://example.com/"]]}
    page = look(str(linked(said)))

    assert page.shapes - EMPTY.shapes - FROM_MARKS == set()
    assert {value for _, _, value in page.addresses} <= {"https://example.com/"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixed())
def test_a_feed_holds_it_whole(text: str) -> None:
    tree = root("a", {})
    add(tree, "b", text, {"c": text})
    (child,) = ET.fromstring(document(tree))

    told = legible(text).replace("\r\n", "\n").replace("\r", "\n")
    assert (child.text or "") == told
    assert json.loads(legible(json.dumps(text, ensure_ascii=True))) == text
