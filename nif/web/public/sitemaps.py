"""Sitemaps: an index of stories, topics, pages, and the news of the last two days."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from flask import Blueprint, Response

from nif.clock import utc_now
from nif.errors import NotFound
from nif.stories import queries
from nif.stories.queries import NewsSitemapEntry, SitemapEntry, SitemapPart
from nif.subscriptions.lists import archived_lists, offered_lists
from nif.typography import typeset
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.filters import format_timestamp
from nif.web.public.feeds import add_element, new_root, write_document
from nif.web.public.page_cache import cached_response
from nif.web.public.policies import POLICIES

XML = "application/xml"
SITEMAP_NAMESPACE = {"xmlns": "http://www.sitemaps.org/schemas/sitemap/0.9"}
NEWS_NAMESPACE = {"xmlns:news": "http://www.google.com/schemas/sitemap-news/0.9"}
NEWS_WINDOW = timedelta(days=2)
MAX_PART = 2**63 // queries.SITEMAP_PART_SIZE

blueprint = Blueprint("sitemaps", __name__)


@blueprint.get("/sitemap.xml")
@open_to(Access.PUBLIC)
def index() -> Response:
    return cached_response(_render_index, XML, by="")


@blueprint.get(f"/sitemaps/articles-<int(max={MAX_PART}):part>.xml")
@open_to(Access.PUBLIC)
def show_stories(part: int) -> Response:
    return cached_response(lambda: _render_stories(part), XML, by="")


@blueprint.get(f"/sitemaps/topics-<int(max={MAX_PART}):part>.xml")
@open_to(Access.PUBLIC)
def show_tags(part: int) -> Response:
    return cached_response(lambda: _render_tags(part), XML, by="")


@blueprint.get("/sitemaps/pages.xml")
@open_to(Access.PUBLIC)
def show_pages() -> Response:
    return cached_response(_render_pages, XML, by="")


@blueprint.get("/sitemaps/news.xml")
@open_to(Access.PUBLIC)
def show_news() -> Response:
    """Cached for a minute only: stories age out of it without any change of the page version."""
    minute = utc_now().replace(second=0, microsecond=0)
    oldest = minute - NEWS_WINDOW

    def render() -> str:
        with reading() as session:
            found = queries.list_news_entries(session, since=oldest)
        return _write_news(found)

    return cached_response(render, XML, by=format_timestamp(minute))


def _render_index() -> str:
    with reading() as session:
        stories, tags = queries.list_story_parts(session), queries.list_tag_parts(session)
    tree = new_root("sitemapindex", SITEMAP_NAMESPACE)
    for path, changed in _list_files(stories, tags):
        entry = add_element(tree, "sitemap")
        add_element(entry, "loc", links().path(f"/sitemaps/{path}.xml"))
        if changed:
            add_element(entry, "lastmod", changed)
    return write_document(tree)


def _list_files(
    stories: Sequence[SitemapPart], tags: Sequence[SitemapPart]
) -> Iterator[tuple[str, str]]:
    yield "news", ""
    yield "pages", ""
    for number, changed_at in stories:
        yield f"articles-{number}", format_timestamp(changed_at)
    for number, changed_at in tags:
        yield f"topics-{number}", format_timestamp(changed_at)


def _render_stories(part: int) -> str:
    with reading() as session:
        found = queries.list_stories_of_part(session, part)
    return _write_urlset(
        [
            (links().story(slug), format_timestamp(changed))
            for slug, changed in _raise_if_empty(found)
        ]
    )


def _render_tags(part: int) -> str:
    with reading() as session:
        found = queries.list_tags_of_part(session, part)
    return _write_urlset(
        [(links().tag(slug), format_timestamp(changed)) for slug, changed in _raise_if_empty(found)]
    )


def _raise_if_empty(found: Sequence[SitemapEntry]) -> Sequence[SitemapEntry]:
    """Raises NotFound for an empty sitemap."""
    if not found:
        raise NotFound("There is no such sitemap.")
    return found


def _render_pages() -> str:
    with reading() as session:
        lists = [*offered_lists(session), *archived_lists(session)]
    fixed = ("/newsletters/", "/subscribe", "/policies/", "/transparency")
    addresses = [links().home(), *(links().path(path) for path in fixed)]
    addresses += [links().path(f"/newsletters/{listed.slug}/") for listed in lists]
    addresses += [links().policy(slug) for slug in POLICIES]
    return _write_urlset([(address, "") for address in addresses])


def _write_urlset(addresses: Sequence[tuple[str, str]]) -> str:
    tree = new_root("urlset", SITEMAP_NAMESPACE)
    for address, changed in addresses:
        entry = add_element(tree, "url")
        add_element(entry, "loc", address)
        if changed:
            add_element(entry, "lastmod", changed)
    return write_document(tree)


def _write_news(found: Sequence[NewsSitemapEntry]) -> str:
    site = settings()
    tree = new_root("urlset", SITEMAP_NAMESPACE | NEWS_NAMESPACE)
    for slug, headline, published_at in found:
        entry = add_element(tree, "url")
        add_element(entry, "loc", links().story(slug))
        item = add_element(entry, "news:news")
        publication = add_element(item, "news:publication")
        add_element(publication, "news:name", site.site_name)
        add_element(publication, "news:language", site.language)
        add_element(item, "news:publication_date", format_timestamp(published_at))
        add_element(item, "news:title", typeset(headline))
    return write_document(tree)
