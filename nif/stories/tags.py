"""Topics by name: those that stories carry most, and those that somebody typed."""

from collections.abc import Collection, Iterable

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from nif.errors import Invalid
from nif.slugs import slugify
from nif.stories.models import Story, StoryState, Tag, story_tag

RECENT_STORIES = 500
"""So many of the newest stories say what the house writes about most."""

LONGEST_TAG_NAME = 60


def list_most_used_tags(session: Session, *, most: int = 12) -> dict[str, str]:
    """The names of the topics that the newest stories carry most, by slug, in order of name."""
    newest = (
        select(Story.id)
        .where(Story.state == StoryState.PUBLISHED)
        .order_by(Story.first_published_at.desc(), Story.id.desc())
        .limit(RECENT_STORIES)
        .subquery()
    )
    query = (
        select(Tag.slug, Tag.name)
        .join(story_tag, story_tag.c.tag_id == Tag.id)
        .join(newest, newest.c.id == story_tag.c.story_id)
        .group_by(Tag.id, Tag.slug, Tag.name)
        .order_by(func.count().desc(), Tag.id)
    )
    return _sorted_by_name(session.execute(query.limit(most)))


def tag_names_of(session: Session, slugs: Collection[str]) -> dict[str, str]:
    """The names of these topics by slug, in order of name; what is no topic is left out."""
    if not slugs:
        return {}
    rows = session.execute(select(Tag.slug, Tag.name).where(Tag.slug.in_(list(slugs))))
    return _sorted_by_name(rows)


def parse_tags(session: Session, typed: str) -> tuple[str, ...]:
    """The slugs of the topics that somebody typed, with commas between them.

    Raises Invalid, for the field `topics`, where a story is yet to carry one of them.
    """
    names = {slugify(name): name.strip() for name in typed.split(",") if name.strip()}
    known = tag_names_of(session, list(names))
    missing = [name for slug, name in names.items() if slug not in known]
    if missing:
        some = ", ".join(name[:LONGEST_TAG_NAME] for name in missing[:5])
        raise Invalid({"topics": f"No story carries this yet, so it is no topic: {some}."})
    return tuple(sorted(names))


def _sorted_by_name(rows: Iterable[Row[str, str]]) -> dict[str, str]:
    found = {row[0]: row[1] for row in rows}
    return dict(sorted(found.items(), key=lambda one: one[1].casefold()))
