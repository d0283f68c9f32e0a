"""What readers' pages ask for: one story, the newest ones, those under a tag, related ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, aliased

from nif.errors import NotFound
from nif.stories.bylines import story_byline
from nif.stories.kinds import Standing
from nif.stories.models import Revision, Story, StoryState, Tag, story_tag

RELATED = 3


@dataclass(frozen=True)
class Page:
    """Some stories, newest first, and where the next page begins."""

    stories: Sequence[Revision]
    after: str | None


@dataclass(frozen=True)
class DeskPage:
    """Some working copies, the last saved first, and where the next page begins."""

    stories: Sequence[Story]
    after: str | None


@dataclass(frozen=True)
class BeforeReaders:
    """Whether a published story stands, and whether its working copy was saved again since."""

    standing: Standing
    is_behind: bool


def get_published(session: Session, slug: str) -> Revision:
    """The current revision of a published story. Raises NotFound."""
    revision = session.scalar(_current().where(Story.slug == slug))
    if revision is None:
        raise NotFound("There is no story at this address.")
    return revision


def newest(session: Session, *, after: str | None = None, size: int = 20) -> Page:
    """A page of the newest stories; `after` is the `after` of the page before."""
    return _page(session, _current(), after, size)


def tagged(session: Session, tag: Tag, *, after: str | None = None, size: int = 20) -> Page:
    """A page of the stories under a tag, newest first."""
    query = _current().join(story_tag).where(story_tag.c.tag_id == tag.id)
    return _page(session, query, after, size)


def by_person(
    session: Session, account_id: int, *, after: str | None = None, size: int = 20
) -> Page:
    """A page of the stories whose byline names a person, newest first."""
    query = _current().join(story_byline).where(story_byline.c.account_id == account_id)
    return _page(session, query, after, size)


def get_tag(session: Session, slug: str) -> Tag:
    """Raises NotFound."""
    tag = session.scalar(select(Tag).where(Tag.slug == slug))
    if tag is None:
        raise NotFound("There is no such topic.")
    return tag


def related(session: Session, revision: Revision) -> Sequence[Revision]:
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
    ids = list(session.scalars(query.limit(RELATED)))
    found = session.scalars(select(Revision).where(Revision.id.in_(ids)))
    return sorted(found, key=lambda one: ids.index(one.id))


def before_readers(session: Session, stories: Sequence[Story]) -> dict[int, BeforeReaders]:
    """What became of those of these stories that are published, by their ids, in one query."""
    of = {story.current_id: story for story in stories if story.current_id is not None}
    query = select(Revision.id, Revision.standing, Revision.published_at)
    rows = session.execute(query.where(Revision.id.in_(list(of)))) if of else ()
    return {
        of[row.id].id: BeforeReaders(row.standing, of[row.id].updated_at > row.published_at)
        for row in rows
    }


def first_slugs(session: Session, stories: Sequence[Revision]) -> dict[int, str]:
    """The slug that each story had when it was first published, by its id.

    An address may change, and the old one then leads to the new; what names a story for good, as
    in a feed, is the first.
    """
    slugs = {story.story_id: story.slug for story in stories}
    first = select(Revision.story_id, Revision.slug).where(Revision.n == 1)
    rows = session.execute(first.where(Revision.story_id.in_(list(slugs))))
    return slugs | {row.story_id: row.slug for row in rows}


def not_among(
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
        _current()
        .where(
            Story.first_published_at >= since,
            Story.id.not_in(known),
            Revision.standing.in_((Standing.SOUND, Standing.CORRECTED)),
        )
        .order_by(Story.first_published_at, Story.id)
    )
    if about:
        tagged_so = select(story_tag.c.tag_id).join(Tag, Tag.id == story_tag.c.tag_id)
        tagged_so = tagged_so.where(story_tag.c.story_id == Story.id, Tag.slug.in_(about))
        query = query.where(tagged_so.exists())
    return session.scalars(query.limit(most)).all()[::-1]


def _current() -> Select[Revision]:
    return (
        select(Revision)
        .join(Story, Story.current_id == Revision.id)
        .where(Story.state == StoryState.PUBLISHED)
    )


def _page(session: Session, query: Select[Revision], after: str | None, size: int) -> Page:
    query = query.order_by(Story.first_published_at.desc(), Story.id.desc()).limit(size + 1)
    if after:
        moment, story_id = place(after)
        query = query.where(
            or_(
                Story.first_published_at < moment,
                (Story.first_published_at == moment) & (Story.id < story_id),
            )
        )
    found = session.scalars(query).all()
    last = found[size - 1] if len(found) > size else None
    after = f"{last.first_published_at.isoformat()}~{last.story_id}" if last else None
    return Page(found[:size], after)


def place(after: str) -> tuple[datetime, int]:
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
