"""Feeds of the newest stories, and of those under a topic."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, render_template

from nif.stories import reading as stories
from nif.stories.models import Revision, StoryType
from nif.typography import legible, typeset
from nif.web.access import Access, open_to
from nif.web.current import links, reading, settings
from nif.web.public.caching import kept
from nif.web.public.illustrating import in_feed
from nif.web.public.records import record
from nif.web.public.syndication import ATOM, JSON_FEED, RSS, Feed, Item, atom, json_feed, rss

ITEMS = 20
ABOUT = "Stories that say where they come from and why they are covered."

blueprint = Blueprint("feeds", __name__)


@blueprint.get("/feed.xml")
@open_to(Access.PUBLIC)
def as_rss() -> Response:
    return _newest(rss, RSS, "/feed.xml")


@blueprint.get("/feed.atom")
@open_to(Access.PUBLIC)
def as_atom() -> Response:
    return _newest(atom, ATOM, "/feed.atom")


@blueprint.get("/feed.json")
@open_to(Access.PUBLIC)
def as_json() -> Response:
    return _newest(json_feed, JSON_FEED, "/feed.json")


@blueprint.get("/tags/<slug>/feed.xml")
@open_to(Access.PUBLIC)
def of_tag(slug: str) -> Response:
    return kept(lambda: rss(_tagged(slug)), RSS, by="")


def _newest(write: Callable[[Feed], str], mimetype: str, path: str) -> Response:
    return kept(lambda: write(_front(path)), mimetype, by="")


def _front(path: str) -> Feed:
    with reading() as session:
        found = stories.newest(session, size=ITEMS).stories
        slugs = stories.first_slugs(session, found)
    name = settings().site_name
    items = [_item(story, slugs[story.story_id]) for story in found]
    return _feed(name, links().home(), links().page(path), items)


def _tagged(slug: str) -> Feed:
    with reading() as session:
        tag = stories.get_tag(session, slug)
        found = stories.tagged(session, tag, size=ITEMS).stories
        slugs = stories.first_slugs(session, found)
    items = [_item(story, slugs[story.story_id]) for story in found]
    title = f"{tag.name} | {settings().site_name}"
    return _feed(title, links().tag(tag.slug), links().tag_feed(tag.slug), items)


def _feed(title: str, home: str, address: str, items: list[Item]) -> Feed:
    house = settings()
    return Feed(title, ABOUT, house.site_name, house.language, home, address, items)


def _item(story: Revision, first_slug: str) -> Item:
    words: dict[str, Any] = {
        "story": story,
        "address": links().story(story.slug),
        "record": links().record(story.slug),
        "picture_in": lambda one: in_feed(one, links()),
    }
    return Item(
        guid=links().story(first_slug),
        address=words["address"],
        title=typeset(labelled(story)),
        summary=typeset(story.dek or story.lead),
        html=legible(render_template("public/feeds/story.html", **words)),
        text=render_template("public/feeds/story.txt", **words),
        author=typeset(story.byline),
        topics=[name for _, name in story.tags],
        sources=_sources(story),
        transparency={"record": words["record"], **record(story, links())},
        published=story.first_published_at,
        updated=story.modified_at,
        image=in_feed(story.picture, links()),
    )


def labelled(story: Revision) -> str:
    """The headline; what is an opinion, or does not stand as it was, says so without its page."""
    opinion = "Opinion" if story.story_type is StoryType.OPINION else ""
    return ": ".join(filter(None, (story.label, opinion, story.headline)))


def _sources(story: Revision) -> list[tuple[str, str]]:
    """The names and addresses that the block links, each once."""
    linked = [tuple(pair) for sentence in story.block for pair in sentence["links"]]
    return [(name, address) for name, address in dict.fromkeys(linked)]
