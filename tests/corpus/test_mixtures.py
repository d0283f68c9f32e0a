"""Mixtures of the corpus, through what everything that is shown goes through."""

import json
from xml.etree import ElementTree as ET

from hypothesis import given, settings

from nif.stories.text import render_inline_html
from nif.typography import link_names, replace_invalid_xml
from nif.web.public.xml_documents import add_element, new_root, write_document
from tests.corpus import mixed
from tests.corpus.looking import FROM_MARKS, is_harmless, look

EMPTY = look("")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixed())
def test_marks_make_nothing_but_what_they_may(text: str) -> None:
    page = look(str(render_inline_html(text)))

    assert page.shapes - EMPTY.shapes - FROM_MARKS == set()
    assert all(is_harmless(value) for _, _, value in page.addresses)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixed(), mixed(60))
def test_a_sentence_links_its_names_and_nothing_else(text: str, name: str) -> None:
    said = {"text": f"{text} {name} {text}", "links": [[name, "https://example.com/"]]}
    page = look(str(link_names(said)))

    assert page.shapes - EMPTY.shapes - FROM_MARKS == set()
    assert {value for _, _, value in page.addresses} <= {"https://example.com/"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(mixed())
def test_a_feed_holds_it_whole(text: str) -> None:
    tree = new_root("a", {})
    add_element(tree, "b", text, {"c": text})
    (child,) = ET.fromstring(write_document(tree))

    told = replace_invalid_xml(text).replace("\r\n", "\n").replace("\r", "\n")
    assert (child.text or "") == told
    assert json.loads(replace_invalid_xml(json.dumps(text, ensure_ascii=True))) == text
