"""Feeds: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, each with its stories whole.

One `Feed` is written in three ways, so that no reader's program gets less than another's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from xml.etree.ElementTree import Element

from nif.typography import legible
from nif.web.filters import iso
from nif.web.public.illustrating import ShownImage
from nif.web.public.markup import add, document, root

RSS = "application/rss+xml"
ATOM = "application/atom+xml"
JSON_FEED = "application/feed+json"

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When a feed without stories changed last: Atom wants a moment, and now would be news."""

RSS_WORDS = {
    "version": "2.0",
    "xmlns:atom": "http://www.w3.org/2005/Atom",
    "xmlns:content": "http://purl.org/rss/1.0/modules/content/",
    "xmlns:dc": "http://purl.org/dc/elements/1.1/",
    "xmlns:media": "http://search.yahoo.com/mrss/",
}


@dataclass(frozen=True)
class Item:
    """A story in a feed. `guid` stays the same for good; `html` and `text` are the whole story.

    `sources` pairs names with addresses; `transparency` is the record behind the block; `image` is
    the picture that leads the story.
    """

    guid: str
    address: str
    title: str
    summary: str
    html: str
    text: str
    author: str
    topics: Sequence[str]
    sources: Sequence[tuple[str, str]]
    transparency: Mapping[str, Any]
    published: datetime
    updated: datetime
    image: ShownImage | None = None


@dataclass(frozen=True)
class Feed:
    """Stories, newest first. `address` is the feed's own, `home` that of the page it follows."""

    title: str
    description: str
    publisher: str
    language: str
    home: str
    address: str
    items: Sequence[Item]

    @property
    def updated(self) -> datetime:
        return max((item.updated for item in self.items), default=NEVER)


def rss(feed: Feed) -> str:
    """RSS 2.0, whose `<source>` is for the feed that an item was taken from, not for sources."""
    tree = root("rss", RSS_WORDS)
    channel = add(tree, "channel")
    add(channel, "title", feed.title)
    add(channel, "link", feed.home)
    add(channel, "description", feed.description)
    add(channel, "language", feed.language)
    add(channel, "lastBuildDate", format_datetime(feed.updated, usegmt=True))
    add(channel, "atom:link", "", {"rel": "self", "type": RSS, "href": feed.address})
    for item in feed.items:
        _rss_item(add(channel, "item"), item)
    return document(tree)


def _rss_item(entry: Element, item: Item) -> None:
    add(entry, "title", item.title)
    add(entry, "link", item.address)
    add(entry, "guid", item.guid, {"isPermaLink": "true"})
    add(entry, "pubDate", format_datetime(item.published, usegmt=True))
    add(entry, "atom:updated", iso(item.updated))
    add(entry, "dc:creator", item.author)
    for topic in item.topics:
        add(entry, "category", topic)
    add(entry, "description", item.summary)
    add(entry, "content:encoded", item.html)
    if item.image:
        _media(entry, item.image)


def _media(entry: Element, image: ShownImage) -> None:
    """Media RSS, for `<enclosure>` wants a length in bytes and has no place for alt and credit."""
    size = {"width": str(image.width), "height": str(image.height)}
    facts = {"url": image.address, "type": image.kind, "medium": "image", **size}
    content = add(entry, "media:content", "", facts)
    if image.alt:
        add(content, "media:description", image.alt, {"type": "plain"})
    add(content, "media:credit", image.credit)


def atom(feed: Feed) -> str:
    """Atom, in which `via` names where the information came from."""
    tree = root("feed", {"xmlns": RSS_WORDS["xmlns:atom"], "xml:lang": feed.language})
    add(tree, "id", feed.address)
    add(tree, "title", feed.title)
    add(tree, "subtitle", feed.description)
    add(tree, "updated", iso(feed.updated))
    add(add(tree, "author"), "name", feed.publisher)
    add(tree, "link", "", {"rel": "self", "type": ATOM, "href": feed.address})
    add(tree, "link", "", {"rel": "alternate", "type": "text/html", "href": feed.home})
    for item in feed.items:
        _atom_entry(add(tree, "entry"), item)
    return document(tree)


def _atom_entry(entry: Element, item: Item) -> None:
    add(entry, "id", item.guid)
    add(entry, "title", item.title)
    add(entry, "link", "", {"rel": "alternate", "type": "text/html", "href": item.address})
    for name, address in item.sources:
        add(entry, "link", "", {"rel": "via", "title": name, "href": address})
    if item.image:
        add(entry, "link", "", _enclosure(item.image))
    add(entry, "published", iso(item.published))
    add(entry, "updated", iso(item.updated))
    add(add(entry, "author"), "name", item.author)
    for topic in item.topics:
        add(entry, "category", "", {"term": topic})
    add(entry, "summary", item.summary)
    add(entry, "content", item.html, {"type": "html"})


def _enclosure(image: ShownImage) -> dict[str, str]:
    """The picture as a related file: RFC 4287, 4.2.7.2."""
    named = {"title": image.alt} if image.alt else {}
    return {"rel": "enclosure", "type": image.kind, "href": image.address, **named}


def json_feed(feed: Feed) -> str:
    """JSON Feed 1.1; `_nif_transparency` is the extension that its rules allow."""
    whole = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "description": feed.description,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        "language": feed.language,
        "authors": [{"name": feed.publisher, "url": feed.home}],
        "items": [_json_item(item) for item in feed.items],
    }
    # JSON escapes control characters by itself; halves of pairs are no text at all.
    return legible(json.dumps(whole, ensure_ascii=False))


def _json_item(item: Item) -> dict[str, Any]:
    return {
        "id": item.guid,
        "url": item.address,
        "title": item.title,
        "summary": item.summary,
        "content_html": item.html,
        "content_text": item.text,
        "date_published": iso(item.published),
        "date_modified": iso(item.updated),
        "authors": [{"name": item.author}],
        "tags": list(item.topics),
        **({"image": item.image.address} if item.image else {}),
        "_nif_transparency": dict(item.transparency),
    }
