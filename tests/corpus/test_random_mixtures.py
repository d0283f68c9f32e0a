"""Random mixtures of payloads through the functions that all output passes."""

import json
from xml.etree import ElementTree as ET

from hypothesis import given, settings

from nif.stories.text import render_inline_html
from nif.typography import link_names, replace_invalid_xml
from nif.web.public.feeds import add_element, write_document
from tests.corpus import payload_mixtures
from tests.corpus.page_contents import MARKUP_SHAPES, is_harmless, parse_page

EMPTY = parse_page("")


@settings(max_examples=150, deadline=None, derandomize=True)
@given(payload_mixtures())
def test_markup_produces_only_allowed_elements(text: str) -> None:
    page = parse_page(str(render_inline_html(text)))

    assert page.shapes - EMPTY.shapes - MARKUP_SHAPES == set()
    assert all(is_harmless(value) for _, _, value in page.addresses)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(payload_mixtures(), payload_mixtures(60))
def test_a_sentence_links_only_its_names(text: str, name: str) -> None:
    sentence = {"text": f"{text} {name} {text}", "links": [[name, "https://example.com/"]]}
    page = parse_page(str(link_names(sentence)))

    assert page.shapes - EMPTY.shapes - MARKUP_SHAPES == set()
    assert {value for _, _, value in page.addresses} <= {"https://example.com/"}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(payload_mixtures())
def test_a_feed_preserves_the_text(text: str) -> None:
    tree = ET.Element("a")
    add_element(tree, "b", text, {"c": text})
    (child,) = ET.fromstring(write_document(tree))

    expected = replace_invalid_xml(text).replace("\r\n", "\n").replace("\r", "\n")
    assert (child.text or "") == expected
    assert json.loads(replace_invalid_xml(json.dumps(text, ensure_ascii=True))) == text
