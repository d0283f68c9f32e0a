"""Files for programs: feeds, sitemaps, robots.txt, trust.txt, ads.txt and security.txt.

The newest stories and those of each topic are RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1.

Each format is written from the same `Feed` and holds whole stories, so none has less than another.

XML is built as trees that the standard library serializes, so every parser can read it, whatever
text a story has. Sitemaps are built in the same way.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import NotFound
from nif.stories import queries as stories
from nif.stories.models import Revision, Story, StoryType, Tag
from nif.subscriptions.lists import archived_lists, offered_lists
from nif.typography import replace_invalid_xml, typeset
from nif.web.current import links, settings
from nif.web.filters import format_timestamp
from nif.web.public.page_cache import address_alone, cached_page, this_minute
from nif.web.public.policies import POLICIES, TRAINING_CRAWLERS
from nif.web.public.story_metadata import ImageFile, feed_image, transparency_record


def add_element(
    parent: Element, tag: str, text: str = "", attributes: Mapping[str, str] | None = None
) -> Element:
    """Append a new child to `parent`."""
    clean = {name: replace_invalid_xml(value) for name, value in (attributes or {}).items()}
    child = SubElement(parent, tag, clean)
    child.text = replace_invalid_xml(text)
    return child


def write_document(tree: Element) -> str:
    """The whole document, with its XML declaration."""
    written: bytes = tostring(tree, encoding="utf-8", xml_declaration=True)
    return written.decode()


RSS = "application/rss+xml"
ATOM = "application/atom+xml"
JSON_FEED = "application/feed+json"

EMPTY_FEED_UPDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""The time of change of an empty feed: Atom requires one, and the present would look like news."""

RSS_ATTRIBUTES = {
    "version": "2.0",
    "xmlns:atom": "http://www.w3.org/2005/Atom",
    "xmlns:content": "http://purl.org/rss/1.0/modules/content/",
    "xmlns:dc": "http://purl.org/dc/elements/1.1/",
    "xmlns:media": "http://search.yahoo.com/mrss/",
}


@dataclass(frozen=True)
class FeedItem:
    """A story in a feed. `guid` never changes; `html` and `text` are the whole story.

    `sources` pairs names with addresses, `transparency` is the record of the block, and `image` is
    the lead picture.
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
    image: ImageFile | None = None


@dataclass(frozen=True)
class Feed:
    """Stories, newest first. `address` is the feed's own, `home` that of the page it belongs to."""

    title: str
    description: str
    publisher: str
    language: str
    home: str
    address: str
    items: Sequence[FeedItem]

    @property
    def updated(self) -> datetime:
        return max((item.updated for item in self.items), default=EMPTY_FEED_UPDATED)


def write_rss(feed: Feed) -> str:
    """RSS 2.0. Its `<source>` means the feed that an item came from, so sources are not in it."""
    tree = Element("rss", RSS_ATTRIBUTES)
    channel = add_element(tree, "channel")
    add_element(channel, "title", feed.title)
    add_element(channel, "link", feed.home)
    add_element(channel, "description", feed.description)
    add_element(channel, "language", feed.language)
    add_element(channel, "lastBuildDate", format_datetime(feed.updated, usegmt=True))
    add_element(channel, "atom:link", "", {"rel": "self", "type": RSS, "href": feed.address})
    for item in feed.items:
        _add_rss_item(add_element(channel, "item"), item)
    return write_document(tree)


def _add_rss_item(entry: Element, item: FeedItem) -> None:
    add_element(entry, "title", item.title)
    add_element(entry, "link", item.address)
    add_element(entry, "guid", item.guid, {"isPermaLink": "true"})
    add_element(entry, "pubDate", format_datetime(item.published, usegmt=True))
    add_element(entry, "atom:updated", format_timestamp(item.updated))
    add_element(entry, "dc:creator", item.author)
    for topic in item.topics:
        add_element(entry, "category", topic)
    add_element(entry, "description", item.summary)
    add_element(entry, "content:encoded", item.html)
    if item.image:
        _add_media_content(entry, item.image)


def _add_media_content(entry: Element, image: ImageFile) -> None:
    """Media RSS, because `<enclosure>` needs a length in bytes and cannot hold alt and credit."""
    size = {"width": str(image.width), "height": str(image.height)}
    facts = {"url": image.address, "type": image.kind, "medium": "image", **size}
    content = add_element(entry, "media:content", "", facts)
    if image.alt:
        add_element(content, "media:description", image.alt, {"type": "plain"})
    add_element(content, "media:credit", image.credit)


def write_atom(feed: Feed) -> str:
    """Atom. Its `via` links name the sources."""
    tree = Element("feed", {"xmlns": RSS_ATTRIBUTES["xmlns:atom"], "xml:lang": feed.language})
    add_element(tree, "id", feed.address)
    add_element(tree, "title", feed.title)
    add_element(tree, "subtitle", feed.description)
    add_element(tree, "updated", format_timestamp(feed.updated))
    add_element(add_element(tree, "author"), "name", feed.publisher)
    add_element(tree, "link", "", {"rel": "self", "type": ATOM, "href": feed.address})
    add_element(tree, "link", "", {"rel": "alternate", "type": "text/html", "href": feed.home})
    for item in feed.items:
        _add_atom_entry(add_element(tree, "entry"), item)
    return write_document(tree)


def _add_atom_entry(entry: Element, item: FeedItem) -> None:
    add_element(entry, "id", item.guid)
    add_element(entry, "title", item.title)
    add_element(entry, "link", "", {"rel": "alternate", "type": "text/html", "href": item.address})
    for name, address in item.sources:
        add_element(entry, "link", "", {"rel": "via", "title": name, "href": address})
    if item.image:
        add_element(entry, "link", "", _enclosure_attributes(item.image))
    add_element(entry, "published", format_timestamp(item.published))
    add_element(entry, "updated", format_timestamp(item.updated))
    add_element(add_element(entry, "author"), "name", item.author)
    for topic in item.topics:
        add_element(entry, "category", "", {"term": topic})
    add_element(entry, "summary", item.summary)
    add_element(entry, "content", item.html, {"type": "html"})


def _enclosure_attributes(image: ImageFile) -> dict[str, str]:
    """The lead picture as an enclosure (RFC 4287, section 4.2.7.2)."""
    title = {"title": image.alt} if image.alt else {}
    return {"rel": "enclosure", "type": image.kind, "href": image.address, **title}


def write_json_feed(feed: Feed) -> str:
    """JSON Feed 1.1. `_nif_transparency` is an extension as its specification allows."""
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": feed.title,
        "description": feed.description,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        "language": feed.language,
        "authors": [{"name": feed.publisher, "url": feed.home}],
        "items": [_json_item(item) for item in feed.items],
    }
    # JSON escapes control characters, but a lone surrogate cannot be encoded.
    return replace_invalid_xml(json.dumps(document, ensure_ascii=False))


def _json_item(item: FeedItem) -> dict[str, Any]:
    return {
        "id": item.guid,
        "url": item.address,
        "title": item.title,
        "summary": item.summary,
        "content_html": item.html,
        "content_text": item.text,
        "date_published": format_timestamp(item.published),
        "date_modified": format_timestamp(item.updated),
        "authors": [{"name": item.author}],
        "tags": list(item.topics),
        **({"image": item.image.address} if item.image else {}),
        "_nif_transparency": dict(item.transparency),
    }


ITEMS_PER_FEED = 20
FEED_DESCRIPTION = "Stories that say where they come from and why they are covered."

blueprint = Blueprint("feeds", __name__)


@cached_page(blueprint, "/feed.xml", mimetype=RSS, by=address_alone)
def show_rss(session: Session) -> str:
    return write_rss(_make_feed(session, links().path("/feed.xml")))


@cached_page(blueprint, "/feed.atom", mimetype=ATOM, by=address_alone)
def show_atom(session: Session) -> str:
    return write_atom(_make_feed(session, links().path("/feed.atom")))


@cached_page(blueprint, "/feed.json", mimetype=JSON_FEED, by=address_alone)
def show_json(session: Session) -> str:
    return write_json_feed(_make_feed(session, links().path("/feed.json")))


@cached_page(blueprint, "/tags/<slug>/feed.xml", mimetype=RSS, by=address_alone)
def show_tag_rss(session: Session, slug: str) -> str:
    return write_rss(_make_feed(session, links().tag_feed(slug), slug))


def _make_feed(session: Session, address: str, tag_slug: str = "") -> Feed:
    """The newest stories, or those of a tag. Raises NotFound."""
    tag = stories.get_tag(session, tag_slug) if tag_slug else None
    found = stories.list_newest_stories(session, tag=tag, size=ITEMS_PER_FEED).rows
    slugs = stories.first_slugs_of(session, found)
    name = settings().site_name
    return Feed(
        title=f"{tag.name} | {name}" if tag else name,
        description=FEED_DESCRIPTION,
        publisher=name,
        language=settings().language,
        home=links().tag(tag.slug) if tag else links().home(),
        address=address,
        items=[_feed_item(story, slugs[story.story_id]) for story in found],
    )


def _feed_item(story: Revision, first_slug: str) -> FeedItem:
    words: dict[str, Any] = {
        "story": story,
        "address": links().story(story.slug),
        "record": links().transparency_record(story.slug),
        "picture_in": lambda one: feed_image(one, links()),
    }
    return FeedItem(
        guid=links().story(first_slug),
        address=words["address"],
        title=typeset(labelled_headline(story)),
        summary=typeset(story.dek or story.lead),
        html=replace_invalid_xml(render_template("public/feeds/story.html", **words)),
        text=render_template("public/feeds/story.txt", **words),
        author=typeset(story.byline),
        topics=[name for _, name in story.tags],
        sources=_linked_sources(story),
        transparency={"record": words["record"], **transparency_record(story, links())},
        published=story.first_published_at,
        updated=story.modified_at,
        image=feed_image(story.picture, links()),
    )


def labelled_headline(story: Revision) -> str:
    """The headline; what is an opinion, or does not stand as it was, says so without its page."""
    opinion = "Opinion" if story.story_type is StoryType.OPINION else ""
    return ": ".join(filter(None, (story.label, opinion, story.headline)))


def _linked_sources(story: Revision) -> list[tuple[str, str]]:
    """The names and addresses that the block links, each once."""
    linked = [tuple(pair) for sentence in story.block for pair in sentence["links"]]
    return [(name, address) for name, address in dict.fromkeys(linked)]


# Sitemaps: an index, stories, topics, pages, and the news of the last two days.

XML = "application/xml"
SITEMAP_NAMESPACE = {"xmlns": "http://www.sitemaps.org/schemas/sitemap/0.9"}
NEWS_NAMESPACE = {"xmlns:news": "http://www.google.com/schemas/sitemap-news/0.9"}
NEWS_WINDOW = timedelta(days=2)
PART = f"int(max={2**63 // stories.SITEMAP_PART_SIZE})"
FIXED_PAGES = ("/newsletters/", "/subscribe", "/policies/", "/transparency")


@cached_page(blueprint, "/sitemap.xml", mimetype=XML, by=address_alone)
def show_sitemap_index(session: Session) -> str:
    parts = {
        "articles": stories.list_sitemap_parts(session, Story),
        "topics": stories.list_sitemap_parts(session, Tag),
    }
    tree = Element("sitemapindex", SITEMAP_NAMESPACE)
    for name in ("news", "pages"):
        _add_address(tree, "sitemap", links().path(f"/sitemaps/{name}.xml"))
    for name, found in parts.items():
        for number, changed_at in found:
            address = links().path(f"/sitemaps/{name}-{number}.xml")
            _add_address(tree, "sitemap", address, changed_at)
    return write_document(tree)


@cached_page(blueprint, f"/sitemaps/articles-<{PART}:part>.xml", mimetype=XML, by=address_alone)
def show_story_sitemap(session: Session, part: int) -> str:
    found = stories.list_sitemap_entries(session, Story, part)
    return _write_sitemap((links().story(slug), changed_at) for slug, changed_at in found)


@cached_page(blueprint, f"/sitemaps/topics-<{PART}:part>.xml", mimetype=XML, by=address_alone)
def show_tag_sitemap(session: Session, part: int) -> str:
    found = stories.list_sitemap_entries(session, Tag, part)
    return _write_sitemap((links().tag(slug), changed_at) for slug, changed_at in found)


@cached_page(blueprint, "/sitemaps/pages.xml", mimetype=XML, by=address_alone)
def show_page_sitemap(session: Session) -> str:
    lists = [*offered_lists(session), *archived_lists(session)]
    addresses = [links().home(), *(links().path(path) for path in FIXED_PAGES)]
    addresses += [links().path(f"/newsletters/{listed.slug}/") for listed in lists]
    addresses += [links().policy(slug) for slug in POLICIES]
    return _write_sitemap((address, None) for address in addresses)


@cached_page(blueprint, "/sitemaps/news.xml", mimetype=XML, by=this_minute)
def show_news_sitemap(session: Session) -> str:
    """Cached for a minute only: stories age out of it."""
    found = stories.list_news_entries(session, since=this_minute() - NEWS_WINDOW)
    tree = Element("urlset", SITEMAP_NAMESPACE | NEWS_NAMESPACE)
    for slug, headline, published_at in found:
        item = add_element(_add_address(tree, "url", links().story(slug)), "news:news")
        publication = add_element(item, "news:publication")
        add_element(publication, "news:name", settings().site_name)
        add_element(publication, "news:language", settings().language)
        add_element(item, "news:publication_date", format_timestamp(published_at))
        add_element(item, "news:title", typeset(headline))
    return write_document(tree)


def _write_sitemap(addresses: Iterable[tuple[str, datetime | None]]) -> str:
    """Raises NotFound for an empty sitemap."""
    tree = Element("urlset", SITEMAP_NAMESPACE)
    for address, changed_at in addresses:
        _add_address(tree, "url", address, changed_at)
    if not len(tree):
        raise NotFound("There is no such sitemap.")
    return write_document(tree)


def _add_address(
    tree: Element, tag: str, address: str, changed_at: datetime | None = None
) -> Element:
    entry = add_element(tree, tag)
    add_element(entry, "loc", address)
    if changed_at:
        add_element(entry, "lastmod", format_timestamp(changed_at))
    return entry


# Files at fixed addresses.

FILES = ("/robots.txt", "/ads.txt", "/trust.txt", "/.well-known/trust.txt")
SECURITY_TXT = "/.well-known/security.txt"
SECURITY_TXT_VALID_FOR = timedelta(days=180)
"""RFC 9116 recommends less than a year."""


def _expiry() -> str:
    """It moves forward once a day."""
    today = utc_now().replace(hour=0, minute=0, second=0)
    return format_timestamp(today + SECURITY_TXT_VALID_FOR)


@cached_page(blueprint, *FILES, SECURITY_TXT, mimetype="text/plain", by=_expiry)
def show_file(_session: Session) -> str:
    return render_template(
        f"public/feeds/{request.path.rpartition('/')[2]}",
        links=links(),
        training=TRAINING_CRAWLERS,
        expires=_expiry(),
    )
