"""The newsroom's search: stories in any state, by parts of words."""

import unicodedata

from sqlalchemy import ForeignKey, Select, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column, selectinload

from nif.database import Base, conflict_aware_insert
from nif.stories.models import Story, StoryState
from nif.stories.queries import WorkingCopyPage, parse_page_position

MOST_SEARCH_WORDS = 8


class StorySearchIndex(Base):
    """The searchable words of a story, folded: headline, byline, slug and tags.

    A narrow table of its own, so that a scan of all stories reads few pages.
    """

    __tablename__ = "story_search"

    story_id: Mapped[int] = mapped_column(
        ForeignKey(Story.id), primary_key=True, autoincrement=False
    )
    folded: Mapped[str]


def fold_search_text(text: str) -> str:
    """Text without accents and case, so that "beyonce" finds "Beyoncé" on both databases."""
    plain = (ch for ch in unicodedata.normalize("NFKD", text) if not unicodedata.combining(ch))
    return " ".join("".join(plain).casefold().replace("’", "'").split())


def index_story(session: Session, story: Story) -> None:
    """Write the searchable words of a saved story."""
    session.flush()
    parts = (story.headline, story.byline, story.slug, *(tag.name for tag in story.tags))
    folded = fold_search_text(" ".join(parts))
    session.execute(
        conflict_aware_insert(session, StorySearchIndex)
        .values(story_id=story.id, folded=folded)
        .on_conflict_do_update(index_elements=[StorySearchIndex.story_id], set_={"folded": folded})
    )


def search_stories(
    session: Session,
    *,
    state: StoryState | None = None,
    author_id: int | None = None,
    words: str = "",
    after: str | None = None,
    size: int = 20,
) -> WorkingCopyPage:
    """A page of the working copies that contain each of these parts of words, last saved first.

    `after` is the `after` of the page before. Raises NotFound where it is malformed.
    """
    query = select(Story).options(selectinload(Story.sources))
    if state is not None:
        query = query.where(Story.state == state)
    if author_id is not None:
        query = query.where(Story.author_id == author_id)
    if after:
        moment, story_id = parse_page_position(after)
        same_moment = (Story.updated_at == moment) & (Story.id < story_id)
        query = query.where(or_(Story.updated_at < moment, same_moment))
    query = _containing_words(query, fold_search_text(words).split()[:MOST_SEARCH_WORDS])
    query = query.order_by(Story.updated_at.desc(), Story.id.desc())
    stories = session.scalars(query.limit(size + 1)).all()
    last = stories[size - 1] if len(stories) > size else None
    next_after = f"{last.updated_at.isoformat()}~{last.id}" if last else None
    return WorkingCopyPage(stories[:size], next_after)


def _containing_words(query: Select[Story], words: list[str]) -> Select[Story]:
    if not words:
        return query
    matches = (StorySearchIndex.folded.contains(word, autoescape=True) for word in words)
    return query.where(Story.id.in_(select(StorySearchIndex.story_id).where(*matches)))
