"""What readers' pages ask for: one story, the newest ones, those under a tag, related ones.

All stories and topics, for sitemaps: in parts that stay what they are.

A part holds the ids of one range, so a new story never moves an old one into another part, and
a part is read by its key, however many there are.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, func, literal_column, or_, select
from sqlalchemy.orm import Mapped, Session, aliased

from nif.errors import NotFound
from nif.stories.bylines import story_byline
from nif.stories.models import Revision, Story, StoryStanding, StoryState, Tag, story_tag

MOST_RELATED = 3


@dataclass(frozen=True)
class StoryPage:
    """Some stories, newest first, and where the next page begins."""

    stories: Sequence[Revision]
    after: str | None


@dataclass(frozen=True)
class WorkingCopyPage:
    """Some working copies, the last saved first, and where the next page begins."""

    stories: Sequence[Story]
    after: str | None


@dataclass(frozen=True)
class PublishedStatus:
    """Whether a published story stands, and whether its working copy was saved again since."""

    standing: StoryStanding
    has_unpublished_changes: bool


def get_published_revision(session: Session, slug: str) -> Revision:
    """The current revision of a published story. Raises NotFound."""
    revision = session.scalar(_select_current_revisions().where(Story.slug == slug))
    if revision is None:
        raise NotFound("There is no story at this address.")
    return revision


def list_newest_stories(session: Session, *, after: str | None = None, size: int = 20) -> StoryPage:
    """A page of the newest stories; `after` is the `after` of the page before."""
    return _get_story_page(session, _select_current_revisions(), after, size)


def list_stories_by_tag(
    session: Session, tag: Tag, *, after: str | None = None, size: int = 20
) -> StoryPage:
    """A page of the stories under a tag, newest first."""
    query = _select_current_revisions().join(story_tag).where(story_tag.c.tag_id == tag.id)
    return _get_story_page(session, query, after, size)


def list_stories_by_person(
    session: Session, account_id: int, *, after: str | None = None, size: int = 20
) -> StoryPage:
    """A page of the stories whose byline names a person, newest first."""
    query = (
        _select_current_revisions()
        .join(story_byline)
        .where(story_byline.c.account_id == account_id)
    )
    return _get_story_page(session, query, after, size)


def get_tag(session: Session, slug: str) -> Tag:
    """Raises NotFound."""
    tag = session.scalar(select(Tag).where(Tag.slug == slug))
    if tag is None:
        raise NotFound("There is no such topic.")
    return tag


def list_related_stories(session: Session, revision: Revision) -> Sequence[Revision]:
    """Stories that share tags with this one: most shared first, then newest.

    No clicks and no profiles, so that the choice can be told in one sentence.
    """
    own = aliased(story_tag)
    shared = (
        select(story_tag.c.story_id, func.count().label("count"))
        .join(own, own.c.tag_id == story_tag.c.tag_id)
        .where(own.c.story_id == revision.story_id, story_tag.c.story_id != revision.story_id)
        .group_by(story_tag.c.story_id)
        .subquery()
    )
    # Their ids first: whole revisions of all that share a tag would be sorted to keep a few.
    query = (
        select(Story.current_id)
        .join(shared, shared.c.story_id == Story.id)
        .where(Story.state == StoryState.PUBLISHED)
        .order_by(shared.c.count.desc(), Story.first_published_at.desc(), Story.id.desc())
    )
    ids = list(session.scalars(query.limit(MOST_RELATED)))
    found = session.scalars(select(Revision).where(Revision.id.in_(ids)))
    return sorted(found, key=lambda one: ids.index(one.id))


def published_status_of(session: Session, stories: Sequence[Story]) -> dict[int, PublishedStatus]:
    """What became of those of these stories that are published, by their ids, in one query."""
    of = {story.current_id: story for story in stories if story.current_id is not None}
    query = select(Revision.id, Revision.standing, Revision.published_at)
    rows = session.execute(query.where(Revision.id.in_(list(of)))) if of else ()
    return {
        of[row.id].id: PublishedStatus(row.standing, of[row.id].updated_at > row.published_at)
        for row in rows
    }


def first_slugs_of(session: Session, stories: Sequence[Revision]) -> dict[int, str]:
    """The slug that each story had when it was first published, by its id.

    An address may change, and the old one then leads to the new; what names a story for good, as
    in a feed, is the first.
    """
    slugs = {story.story_id: story.slug for story in stories}
    first = select(Revision.story_id, Revision.slug).where(Revision.n == 1)
    rows = session.execute(first.where(Revision.story_id.in_(list(slugs))))
    return slugs | {row.story_id: row.slug for row in rows}


def list_stories_since(
    session: Session,
    known: Select[int],
    *,
    since: datetime,
    most: int,
    about: Collection[str] = (),
) -> Sequence[Revision]:
    """Current revisions of stories first published at or after `since`, newest first.

    `about` are slugs of tags of which a story has to have one; without any, all will do. Stories
    whose ids `known` selects are left out, and what no longer stands is no news. Where there are
    more than `most`, the oldest are taken, so that asking again brings the rest.
    """
    query = (
        _select_current_revisions()
        .where(
            Story.first_published_at >= since,
            Story.id.not_in(known),
            Revision.standing.in_((StoryStanding.SOUND, StoryStanding.CORRECTED)),
        )
        .order_by(Story.first_published_at, Story.id)
    )
    if about:
        tagged_so = select(story_tag.c.tag_id).join(Tag, Tag.id == story_tag.c.tag_id)
        tagged_so = tagged_so.where(story_tag.c.story_id == Story.id, Tag.slug.in_(about))
        query = query.where(tagged_so.exists())
    return session.scalars(query.limit(most)).all()[::-1]


def _select_current_revisions() -> Select[Revision]:
    return (
        select(Revision)
        .join(Story, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
    )


def _get_story_page(
    session: Session, query: Select[Revision], after: str | None, size: int
) -> StoryPage:
    query = query.order_by(Story.first_published_at.desc(), Story.id.desc()).limit(size + 1)
    if after:
        moment, story_id = parse_page_position(after)
        query = query.where(
            or_(
                Story.first_published_at < moment,
                (Story.first_published_at == moment) & (Story.id < story_id),
            )
        )
    found = session.scalars(query).all()
    last = found[size - 1] if len(found) > size else None
    after = f"{last.first_published_at.isoformat()}~{last.story_id}" if last else None
    return StoryPage(found[:size], after)


def parse_page_position(after: str) -> tuple[datetime, int]:
    """Raises NotFound for a place that no page of ours named."""
    moment, _, story_id = after.partition("~")
    try:
        named = datetime.fromisoformat(moment)
        place = named.astimezone(UTC), int(story_id)
    except (ValueError, OverflowError):
        raise NotFound("There is no such page.") from None
    if named.tzinfo is None or not 0 <= place[1] < 2**63:
        raise NotFound("There is no such page.")
    return place


StoryRows = Select[*tuple[Any, ...]]

SITEMAP_PART_SIZE = 5_000
"""Ids in a part: half a megabyte. The sitemaps protocol would allow 50,000 addresses a file."""

MOST_NEWS_ENTRIES = 1000
"""Google reads no more in one news sitemap."""


class SitemapPart(NamedTuple):
    """A part with something in it; `changed_at` is when a story in it last said something else."""

    number: int
    changed_at: datetime


class SitemapEntry(NamedTuple):
    slug: str
    changed_at: datetime


class NewsSitemapEntry(NamedTuple):
    slug: str
    headline: str
    published_at: datetime


def list_story_parts(session: Session, *, size: int = SITEMAP_PART_SIZE) -> Sequence[SitemapPart]:
    """The parts that hold a published story, in their order."""
    number = _part_number(Story.id, size)
    query = _select_published(number, func.max(Revision.modified_at))
    rows = session.execute(query.group_by(number).order_by(number))
    return [SitemapPart(*row) for row in rows]


def list_stories_of_part(
    session: Session, part: int, *, size: int = SITEMAP_PART_SIZE
) -> Sequence[SitemapEntry]:
    """The published stories of a part, oldest first; none where there is no such part."""
    query = _select_published(Story.slug, Revision.modified_at)
    rows = session.execute(query.where(*_within_part(Story.id, part, size)).order_by(Story.id))
    return [SitemapEntry(*row) for row in rows]


def list_tag_parts(session: Session, *, size: int = SITEMAP_PART_SIZE) -> Sequence[SitemapPart]:
    """The parts that hold a topic with a published story."""
    number = _part_number(Tag.id, size)
    query = _select_tagged(number, func.max(Revision.modified_at))
    rows = session.execute(query.group_by(number).order_by(number))
    return [SitemapPart(*row) for row in rows]


def list_tags_of_part(
    session: Session, part: int, *, size: int = SITEMAP_PART_SIZE
) -> Sequence[SitemapEntry]:
    """The topics of a part that have a published story, and when one of these last changed."""
    query = _select_tagged(Tag.slug, func.max(Revision.modified_at))
    query = query.where(*_within_part(Tag.id, part, size))
    return [SitemapEntry(*row) for row in session.execute(query.group_by(Tag.id).order_by(Tag.id))]


def list_news_entries(session: Session, *, since: datetime) -> Sequence[NewsSitemapEntry]:
    """The stories first published at or after `since`, newest first."""
    query = _select_published(Story.slug, Revision.headline, Revision.first_published_at)
    query = query.where(Story.first_published_at >= since)
    rows = session.execute(
        query.order_by(Story.first_published_at.desc(), Story.id.desc()).limit(MOST_NEWS_ENTRIES)
    )
    return [NewsSitemapEntry(*row) for row in rows]


def _select_published(*columns: Any) -> StoryRows:
    return (
        select(*columns)
        .join_from(Story, Revision, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
    )


def _select_tagged(*columns: Any) -> StoryRows:
    query = select(*columns).join_from(Tag, story_tag)
    query = query.join(Story, Story.id == story_tag.c.story_id)
    return query.join(Revision, Story.current_id == Revision.id).where(
        Story.state == StoryState.PUBLISHED
    )


def _part_number(key: Mapped[int], size: int) -> ColumnElement[int]:
    # No parameter: PostgreSQL would not see that it groups by what it selects.
    return key // literal_column(str(int(size)), Integer) + literal_column("1", Integer)


def _within_part(key: Mapped[int], part: int, size: int) -> tuple[ColumnElement[bool], ...]:
    return key >= (part - 1) * size, key < part * size
