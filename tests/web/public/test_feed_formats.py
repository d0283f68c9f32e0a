"""Feeds are readable for every parser, whatever text a story has."""

import json
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nif.typography import replace_invalid_xml
from nif.web.public.feeds import (
    Feed,
    FeedItem,
    add_element,
    write_atom,
    write_document,
    write_json_feed,
    write_rss,
)
from tests.conftest import NOON
from tests.web.public.channels import ATOM, CONTENT

# All that there is, halves of pairs included; and often what hurts.
ANYTHING = st.text(st.characters(), max_size=30) | st.text(
    st.sampled_from("\0\x08\x0b\x1f\x7f\x85\ud800\udfff\ufffe\uffff\U0001f44b<>&\"']/ \t\r\n"),
    max_size=30,
)
ITEMS = st.builds(
    FeedItem,
    guid=ANYTHING,
    address=ANYTHING,
    title=ANYTHING,
    summary=ANYTHING,
    html=ANYTHING,
    text=ANYTHING,
    author=ANYTHING,
    topics=st.lists(ANYTHING, max_size=2),
    sources=st.lists(st.tuples(ANYTHING, ANYTHING), max_size=2),
    transparency=st.dictionaries(ANYTHING, ANYTHING, max_size=2),
    published=st.just(NOON),
    updated=st.just(NOON + timedelta(hours=1)),
)
FEEDS = st.builds(
    Feed, *[ANYTHING] * 3, language=st.just("en"), home=ANYTHING, address=ANYTHING,
    items=st.lists(ITEMS, max_size=2),
)  # fmt: skip


def as_read(text: str) -> str:
    """The text that an XML parser returns: invalid characters are replaced, line ends are LF."""
    return replace_invalid_xml(text).replace("\r\n", "\n").replace("\r", "\n")


@given(FEEDS)
def test_rss_is_well_formed_for_any_text(feed: Feed) -> None:
    channel = ET.fromstring(write_rss(feed).encode()).find("channel")

    assert (channel.findtext("title") or "") == as_read(feed.title)
    for found, item in zip(channel.findall("item"), feed.items, strict=True):
        assert (found.findtext("title") or "") == as_read(item.title)
        assert (found.findtext(f"{CONTENT}encoded") or "") == as_read(item.html)
        assert [one.text or "" for one in found.findall("category")] == [
            as_read(topic) for topic in item.topics
        ]


@given(FEEDS)
def test_atom_is_well_formed_for_any_text(feed: Feed) -> None:
    tree = ET.fromstring(write_atom(feed).encode())

    for found, item in zip(tree.findall(f"{ATOM}entry"), feed.items, strict=True):
        assert (found.findtext(f"{ATOM}content") or "") == as_read(item.html)
        via = [link for link in found.findall(f"{ATOM}link") if link.get("rel") == "via"]
        assert len(via) == len(item.sources)


@given(FEEDS)
def test_a_json_feed_is_json_for_any_text(feed: Feed) -> None:
    found = json.loads(write_json_feed(feed).encode())

    # JSON can hold control characters, escaped; only what is no character at all is marked.
    texts = [replace_invalid_xml(item["content_text"]) for item in found["items"]]
    assert texts == [replace_invalid_xml(item.text) for item in feed.items]


@pytest.mark.parametrize("text", ["a]]>b", "<script>", "&amp;", "👋", "“it’s”", "\u0085", '"'])
def test_valid_xml_text_is_unchanged(text: str) -> None:
    tree = ET.Element("r")
    add_element(tree, "e", text, {"a": text})
    found = ET.fromstring(write_document(tree).encode())

    assert found.findtext("e") == text
    assert found.find("e").get("a") == text


def test_a_feed_changes_when_its_newest_story_changes() -> None:
    old, new = (an_item(NOON + timedelta(hours=hours)) for hours in (5, 1))

    assert a_feed([old, new]).updated == NOON + timedelta(hours=5)


def an_item(updated) -> FeedItem:
    return FeedItem("g", "a", "t", "s", "<p>h</p>", "t", "Jo", (), (), {}, NOON, updated)


def a_feed(items) -> Feed:
    return Feed("NIF", "News", "NIF", "en", "http://x/", "http://x/feed.xml", items)
