"""The newsroom's search: stories in any state, by parts of words."""

import unicodedata

from sqlalchemy import ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column, selectinload

from nif.database import Base, conflict_aware_insert
from nif.paging import Page, paginate
from nif.stories.models import Story, StoryState

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
) -> Page[Story]:
    """The working copies that contain each of these parts of words, last saved first."""
    query = select(Story).options(selectinload(Story.sources))
    if state is not None:
        query = query.where(Story.state == state)
    if author_id is not None:
        query = query.where(Story.author_id == author_id)
    if parts := fold_search_text(words).split()[:MOST_SEARCH_WORDS]:
        matches = (StorySearchIndex.folded.contains(part, autoescape=True) for part in parts)
        query = query.where(Story.id.in_(select(StorySearchIndex.story_id).where(*matches)))
    return paginate(session, query, Story.updated_at, Story.id, after=after, size=size)
