"""Tags by name: the most used ones, and those that somebody typed. Pages call a tag a topic."""

from collections.abc import Collection, Iterable

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from nif.errors import Invalid
from nif.slugs import slugify
from nif.stories.models import Story, StoryState, Tag, story_tag

RECENT_STORIES = 500
"""The most used tags are counted over this many of the newest stories."""

LONGEST_TAG_NAME = 60


def list_most_used_tags(session: Session, *, most: int = 12) -> dict[str, str]:
    """The names of the tags that the newest stories have most often, by slug, in order of name."""
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
    """The names of these tags by slug, in order of name. Unknown slugs are left out."""
    if not slugs:
        return {}
    rows = session.execute(select(Tag.slug, Tag.name).where(Tag.slug.in_(list(slugs))))
    return _sorted_by_name(rows)


def parse_tags(session: Session, typed: str) -> tuple[str, ...]:
    """The slugs of tags typed with commas between them, sorted.

    Raises Invalid for the field `topics` where no story has such a tag.
    """
    names = {slugify(name): name.strip() for name in typed.split(",") if name.strip()}
    known = tag_names_of(session, list(names))
    unknown = [name for slug, name in names.items() if slug not in known]
    if unknown:
        listed = ", ".join(name[:LONGEST_TAG_NAME] for name in unknown[:5])
        raise Invalid({"topics": f"No story has this topic yet: {listed}."})
    return tuple(sorted(names))


def _sorted_by_name(rows: Iterable[Row[str, str]]) -> dict[str, str]:
    names = {row[0]: row[1] for row in rows}
    return dict(sorted(names.items(), key=lambda item: item[1].casefold()))
