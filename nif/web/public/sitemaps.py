"""Sitemaps: an index, and behind it all stories, topics and pages, and the news of two days."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from flask import Blueprint, Response

from nif.clock import utc_now
from nif.errors import NotFound
from nif.stories import listing
from nif.stories.listing import Listed, News, Part
from nif.subscriptions.reading import ended_lists, offered_lists
from nif.typography import typeset
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.filters import iso
from nif.web.public.caching import kept
from nif.web.public.markup import add, document, root
from nif.web.public.policy_texts import POLICIES

XML = "application/xml"
SITEMAPS = {"xmlns": "http://www.sitemaps.org/schemas/sitemap/0.9"}
GOOGLE_NEWS = {"xmlns:news": "http://www.google.com/schemas/sitemap-news/0.9"}
NEWS_FOR = timedelta(days=2)
LAST_PART = 2**63 // listing.PART

blueprint = Blueprint("sitemaps", __name__)


@blueprint.get("/sitemap.xml")
@open_to(Access.PUBLIC)
def index() -> Response:
    return kept(_index, XML, by="")


@blueprint.get(f"/sitemaps/articles-<int(max={LAST_PART}):part>.xml")
@open_to(Access.PUBLIC)
def articles(part: int) -> Response:
    return kept(lambda: _articles(part), XML, by="")


@blueprint.get(f"/sitemaps/topics-<int(max={LAST_PART}):part>.xml")
@open_to(Access.PUBLIC)
def topics(part: int) -> Response:
    return kept(lambda: _topics(part), XML, by="")


@blueprint.get("/sitemaps/pages.xml")
@open_to(Access.PUBLIC)
def pages() -> Response:
    return kept(_pages, XML, by="")


@blueprint.get("/sitemaps/news.xml")
@open_to(Access.PUBLIC)
def news() -> Response:
    """Stories grow too old for it without any change on the shelf: it is kept for a minute."""
    minute = utc_now().replace(second=0, microsecond=0)
    with_two_days = minute - NEWS_FOR

    def render() -> str:
        with reading() as session:
            found = listing.news(session, since=with_two_days)
        return _written_news(found)

    return kept(render, XML, by=iso(minute))


def _index() -> str:
    with reading() as session:
        stories, tags = listing.story_parts(session), listing.topic_parts(session)
    tree = root("sitemapindex", SITEMAPS)
    for path, changed in _files(stories, tags):
        entry = add(tree, "sitemap")
        add(entry, "loc", links().page(f"/sitemaps/{path}.xml"))
        if changed:
            add(entry, "lastmod", changed)
    return document(tree)


def _files(stories: Sequence[Part], tags: Sequence[Part]) -> Iterator[tuple[str, str]]:
    yield "news", ""
    yield "pages", ""
    for number, changed_at in stories:
        yield f"articles-{number}", iso(changed_at)
    for number, changed_at in tags:
        yield f"topics-{number}", iso(changed_at)


def _articles(part: int) -> str:
    with reading() as session:
        found = listing.stories_of(session, part)
    return _written([(links().story(slug), iso(changed)) for slug, changed in _some(found)])


def _topics(part: int) -> str:
    with reading() as session:
        found = listing.topics_of(session, part)
    return _written([(links().tag(slug), iso(changed)) for slug, changed in _some(found)])


def _some(found: Sequence[Listed]) -> Sequence[Listed]:
    """Raises NotFound where there is nothing."""
    if not found:
        raise NotFound("There is no such sitemap.")
    return found


def _pages() -> str:
    with reading() as session:
        lists = [*offered_lists(session), *ended_lists(session)]
    fixed = ("/newsletters/", "/subscribe", "/policies/", "/transparency")
    addresses = [links().home(), *(links().page(path) for path in fixed)]
    addresses += [links().page(f"/newsletters/{one.slug}/") for one in lists]
    addresses += [links().policy(slug) for slug in POLICIES]
    return _written([(address, "") for address in addresses])


def _written(addresses: Sequence[tuple[str, str]]) -> str:
    tree = root("urlset", SITEMAPS)
    for address, changed in addresses:
        entry = add(tree, "url")
        add(entry, "loc", address)
        if changed:
            add(entry, "lastmod", changed)
    return document(tree)


def _written_news(found: Sequence[News]) -> str:
    house = settings()
    tree = root("urlset", SITEMAPS | GOOGLE_NEWS)
    for slug, headline, published_at in found:
        entry = add(tree, "url")
        add(entry, "loc", links().story(slug))
        item = add(entry, "news:news")
        publication = add(item, "news:publication")
        add(publication, "news:name", house.site_name)
        add(publication, "news:language", house.language)
        add(item, "news:publication_date", iso(published_at))
        add(item, "news:title", typeset(headline))
    return document(tree)
