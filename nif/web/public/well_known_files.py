"""Files at fixed addresses for programs: robots.txt, trust.txt, ads.txt, security.txt and sitemaps.

The sitemaps are an index, stories, topics, pages, and the news of the last two days.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from flask import Blueprint, render_template

from nif.clock import utc_now
from nif.errors import NotFound
from nif.stories import queries
from nif.stories.models import Story, Tag
from nif.subscriptions.lists import archived_lists, offered_lists
from nif.typography import typeset
from nif.web.current import links, reading, settings
from nif.web.filters import format_timestamp
from nif.web.public.feeds import add_element, write_document
from nif.web.public.page_cache import address_alone, cached_page, this_minute
from nif.web.public.policies import POLICIES, TRAINING_CRAWLERS

PLAIN_TEXT = "text/plain"
XML = "application/xml"
SECURITY_TXT_VALID_FOR = timedelta(days=180)
"""RFC 9116 recommends less than a year."""

SITEMAP_NAMESPACE = {"xmlns": "http://www.sitemaps.org/schemas/sitemap/0.9"}
NEWS_NAMESPACE = {"xmlns:news": "http://www.google.com/schemas/sitemap-news/0.9"}
NEWS_WINDOW = timedelta(days=2)
PART = f"int(max={2**63 // queries.SITEMAP_PART_SIZE})"
FIXED_PAGES = ("/newsletters/", "/subscribe", "/policies/", "/transparency")

blueprint = Blueprint("well_known_files", __name__)


@cached_page(blueprint, "/robots.txt", mimetype=PLAIN_TEXT, by=address_alone)
def robots() -> str:
    return render_template(
        "public/well_known_files/robots.txt", links=links(), training=TRAINING_CRAWLERS
    )


@cached_page(
    blueprint, "/trust.txt", "/.well-known/trust.txt", mimetype=PLAIN_TEXT, by=address_alone
)
def trust() -> str:
    return render_template("public/well_known_files/trust.txt", links=links())


@cached_page(blueprint, "/ads.txt", mimetype=PLAIN_TEXT, by=address_alone)
def ads() -> str:
    return render_template("public/well_known_files/ads.txt", links=links())


def _expiry() -> str:
    """It moves forward once a day."""
    today = utc_now().replace(hour=0, minute=0, second=0)
    return format_timestamp(today + SECURITY_TXT_VALID_FOR)


@cached_page(blueprint, "/.well-known/security.txt", mimetype=PLAIN_TEXT, by=_expiry)
def security() -> str:
    return render_template("public/well_known_files/security.txt", links=links(), expires=_expiry())


@cached_page(blueprint, "/sitemap.xml", mimetype=XML, by=address_alone)
def show_sitemap_index() -> str:
    with reading() as session:
        parts = {
            "articles": queries.list_sitemap_parts(session, Story),
            "topics": queries.list_sitemap_parts(session, Tag),
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
def show_story_sitemap(part: int) -> str:
    with reading() as session:
        found = queries.list_sitemap_entries(session, Story, part)
    return _write_sitemap((links().story(slug), changed_at) for slug, changed_at in found)


@cached_page(blueprint, f"/sitemaps/topics-<{PART}:part>.xml", mimetype=XML, by=address_alone)
def show_tag_sitemap(part: int) -> str:
    with reading() as session:
        found = queries.list_sitemap_entries(session, Tag, part)
    return _write_sitemap((links().tag(slug), changed_at) for slug, changed_at in found)


@cached_page(blueprint, "/sitemaps/pages.xml", mimetype=XML, by=address_alone)
def show_page_sitemap() -> str:
    with reading() as session:
        lists = [*offered_lists(session), *archived_lists(session)]
    addresses = [links().home(), *(links().path(path) for path in FIXED_PAGES)]
    addresses += [links().path(f"/newsletters/{listed.slug}/") for listed in lists]
    addresses += [links().policy(slug) for slug in POLICIES]
    return _write_sitemap((address, None) for address in addresses)


@cached_page(blueprint, "/sitemaps/news.xml", mimetype=XML, by=this_minute)
def show_news_sitemap() -> str:
    """Cached for a minute only: stories age out of it."""
    with reading() as session:
        found = queries.list_news_entries(session, since=this_minute() - NEWS_WINDOW)
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
