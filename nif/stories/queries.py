"""Queries of published stories: by slug, newest, by tag, by person, related, their history and
notes, and for sitemaps.

Sitemaps list stories and tags in parts. A part holds a fixed range of ids, so a new story never
moves an old one into another part, and a part is read by its key, however many parts there are.
Pages call a tag a topic.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, Select, func, literal_column, select
from sqlalchemy.orm import Session, aliased, load_only

from nif.accounts.models import Account, RoleName
from nif.database import get_first
from nif.errors import Invalid, NotFound
from nif.paging import Page, paginate
from nif.slugs import slugify
from nif.stories.corrections import StoryNote
from nif.stories.models import (
    CORRECTIVE_KINDS,
    Revision,
    Story,
    StoryStanding,
    StoryState,
    Tag,
    story_tag,
)
from nif.stories.reader_reports import ReaderReport
from nif.stories.records import story_byline

MOST_RELATED = 3

SITEMAP_PART_SIZE = 5_000
"""The number of ids in a part: about half a megabyte. The sitemap protocol allows 50,000 URLs."""

MOST_NEWS_ENTRIES = 1000
"""Google reads at most this many entries of a news sitemap."""


@dataclass(frozen=True)
class NoteInContext:
    """A note with the current slug, headline and standing of its story."""

    note: StoryNote
    slug: str
    headline: str
    standing: StoryStanding


def get_published_revision(session: Session, slug: str) -> Revision:
    """The current revision of a published story. Raises NotFound."""
    current = _select_current_revisions().where(Story.slug == slug)
    return get_first(session, current, "There is no story at this address.")


def list_newest_stories(
    session: Session,
    *,
    tag: Tag | None = None,
    person_id: int | None = None,
    after: str | None = None,
    size: int = 20,
) -> Page[Revision]:
    """The newest stories: all, those with a tag, or those with a person's account in the byline."""
    query = _select_current_revisions()
    if tag is not None:
        query = query.join(story_tag).where(story_tag.c.tag_id == tag.id)
    if person_id is not None:
        query = query.join(story_byline).where(story_byline.c.account_id == person_id)
    newest = (Story.first_published_at, Story.id)
    return paginate(session, query, *newest, after=after, size=size)


def get_tag(session: Session, slug: str) -> Tag:
    """Raises NotFound."""
    return get_first(session, select(Tag).where(Tag.slug == slug), "There is no such topic.")


def list_related_stories(session: Session, revision: Revision) -> Sequence[Revision]:
    """Stories that share tags with this one: most shared tags first, then newest.

    Uses no clicks and no profiles, so that the selection can be explained in one sentence.
    """
    own = aliased(story_tag)
    shared = (
        select(story_tag.c.story_id, func.count().label("count"))
        .join(own, own.c.tag_id == story_tag.c.tag_id)
        .where(own.c.story_id == revision.story_id, story_tag.c.story_id != revision.story_id)
        .group_by(story_tag.c.story_id)
        .subquery()
    )
    # Ids first: otherwise the database would sort whole revisions of all stories that share a tag.
    query = (
        select(Story.current_id)
        .join(shared, shared.c.story_id == Story.id)
        .where(Story.state == StoryState.PUBLISHED)
        .order_by(shared.c.count.desc(), Story.first_published_at.desc(), Story.id.desc())
    )
    ids = list(session.scalars(query.limit(MOST_RELATED)))
    revisions = session.scalars(select(Revision).where(Revision.id.in_(ids)))
    return sorted(revisions, key=lambda revision: ids.index(revision.id))


def published_status_of(
    session: Session, stories: Sequence[Story]
) -> dict[int, Row[int, StoryStanding, bool]]:
    """`standing` and `has_unpublished_changes` of the published ones among these, by story id."""
    has_changes = (Story.updated_at > Revision.published_at).label("has_unpublished_changes")
    query = select(Story.id, Revision.standing, has_changes)
    query = query.join(Revision, Revision.id == Story.current_id)
    rows = session.execute(query.where(Story.id.in_([story.id for story in stories])))
    return {row.id: row for row in rows}


def first_slugs_of(session: Session, stories: Sequence[Revision]) -> dict[int, str]:
    """The slug that each story had when it was first published, by story id.

    A story's address may change. The first slug never does, so feeds use it as a permanent id.
    """
    slugs = {story.story_id: story.slug for story in stories}
    first = select(Revision.story_id, Revision.slug).where(Revision.n == 1)
    rows = session.execute(first.where(Revision.story_id.in_(list(slugs))))
    return slugs | {row.story_id: row.slug for row in rows}


def list_stories_since(
    session: Session,
    excluding: Select[int],
    *,
    since: datetime,
    most: int,
    tag_slugs: Collection[str] = (),
) -> Sequence[Revision]:
    """Current revisions of stories first published at or after `since`, newest first.

    Leaves out the stories whose ids `excluding` selects, and retracted and removed ones. With
    `tag_slugs`, a story must have at least one of these tags. Of more than `most` stories the
    oldest are returned, so that the next call finds the rest.
    """
    query = (
        _select_current_revisions()
        .where(
            Story.first_published_at >= since,
            Story.id.not_in(excluding),
            Revision.standing.in_((StoryStanding.SOUND, StoryStanding.CORRECTED)),
        )
        .order_by(Story.first_published_at, Story.id)
    )
    if tag_slugs:
        tagged = select(story_tag.c.tag_id).join(Tag, Tag.id == story_tag.c.tag_id)
        tagged = tagged.where(story_tag.c.story_id == Story.id, Tag.slug.in_(tag_slugs))
        query = query.where(tagged.exists())
    return session.scalars(query.limit(most)).all()[::-1]


def _select_current_revisions() -> Select[Revision]:
    return (
        select(Revision)
        .join(Story, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
    )


def list_sitemap_parts(
    session: Session, of: type[Story | Tag], *, size: int = SITEMAP_PART_SIZE
) -> Sequence[Row[*tuple[Any, ...]]]:
    """`number` and `changed_at` of the parts that hold a published story, or a tag with one.

    They are in order. `changed_at` is the last change in a part, apart from style.
    """
    # Literals, not parameters: PostgreSQL compares the selected and the grouped expression.
    number = of.id // literal_column(str(int(size)), Integer) + literal_column("1", Integer)
    changed_at = func.max(Revision.modified_at).label("changed_at")
    query = _select_published(of, number.label("number"), changed_at)
    return session.execute(query.group_by(number).order_by(number)).all()


def list_sitemap_entries(
    session: Session, of: type[Story | Tag], part: int, *, size: int = SITEMAP_PART_SIZE
) -> Sequence[Row[*tuple[Any, ...]]]:
    """`slug` and the last change of the published stories of a part, or of its tags with one.

    There are none where there is no such part.
    """
    query = _select_published(of, of.slug, func.max(Revision.modified_at))
    query = query.where(of.id >= (part - 1) * size, of.id < part * size)
    return session.execute(query.group_by(of.id).order_by(of.id)).all()


def list_news_entries(session: Session, *, since: datetime) -> Sequence[Row[*tuple[Any, ...]]]:
    """Slug, headline and moment of the stories first published since then, newest first."""
    query = _select_published(Story, Story.slug, Revision.headline, Revision.first_published_at)
    query = query.where(Story.first_published_at >= since)
    newest_first = query.order_by(Story.first_published_at.desc(), Story.id.desc())
    return session.execute(newest_first.limit(MOST_NEWS_ENTRIES)).all()


def _select_published(of: type[Story | Tag], *columns: Any) -> Select[*tuple[Any, ...]]:
    query = select(*columns).select_from(of)
    if of is Tag:
        query = query.join(story_tag).join(Story, Story.id == story_tag.c.story_id)
    query = query.join(Revision, Story.current_id == Revision.id)
    return query.where(Story.state == StoryState.PUBLISHED)


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


def list_history(
    session: Session, story_id: int, *, after: str | None = None, size: int = 100
) -> Page[tuple[Revision, RoleName | None]]:
    """The revisions of a story without their text, newest first, with their publisher's role."""
    shown = load_only(
        *(Revision.n, Revision.published_at, Revision.kind, Revision.summary),
        *(Revision.changed_characters, Revision.confirmed_by, Revision.content_hash),
    )
    query = select(Revision, Account.role).options(shown).where(Revision.story_id == story_id)
    query = query.outerjoin(Account, Account.id == Revision.published_by_id)
    return paginate(session, query, Revision.n, after=after, size=size)


def get_story_revision(session: Session, current: Revision, n: int) -> Revision:
    """A revision of a story by its number.

    Raises NotFound where there is none, and for older revisions of a removed story.
    """
    if n == current.n:
        return current
    if current.standing is StoryStanding.REMOVED:
        raise NotFound("The text of this story was removed. Its page says why.")
    query = select(Revision).where(Revision.story_id == current.story_id, Revision.n == n)
    return get_first(session, query, "This story has no version of that number.")


def notes_of_story(session: Session, story_id: int) -> Sequence[StoryNote]:
    """The notes on a story, newest first."""
    query = select(StoryNote).where(StoryNote.story_id == story_id)
    return session.scalars(query.order_by(StoryNote.first_right_n.desc())).all()


def notes_of_report(session: Session, report_id: int) -> Sequence[StoryNote]:
    """The notes published because of a reader's report, oldest first."""
    query = (
        select(StoryNote)
        .join(ReaderReport, ReaderReport.story_id == StoryNote.story_id)
        .where(ReaderReport.id == report_id, StoryNote.report_id == report_id)
    )
    return session.scalars(query.order_by(StoryNote.first_right_n)).all()


def list_newest_notes(
    session: Session, *, after: str | None = None, size: int = 30
) -> Page[NoteInContext]:
    """The corrective notes on all stories, newest first."""
    query = (
        select(StoryNote, Story.slug, Revision.headline, Revision.standing)
        .join(Story, Story.id == StoryNote.story_id)
        .join(Revision, Revision.id == Story.current_id)
        .where(StoryNote.kind.in_(CORRECTIVE_KINDS))
    )
    page = paginate(session, query, StoryNote.at, StoryNote.id, after=after, size=size)
    return Page([NoteInContext(*row) for row in page.rows], page.after)
