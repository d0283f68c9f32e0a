"""Finding a story on the desk, whatever its state, by a part of any word."""

import unicodedata

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, selectinload

from nif.database import insert_into
from nif.stories.desk.models import StorySearch
from nif.stories.models import Story, StoryState
from nif.stories.reading import DeskPage, place

MOST_WORDS = 8


def fold(text: str) -> str:
    """Text without accents and case: "Beyoncé" is found by "beyonce" on either database."""
    plain = (ch for ch in unicodedata.normalize("NFKD", text) if not unicodedata.combining(ch))
    return " ".join("".join(plain).casefold().replace("’", "'").split())


def index(session: Session, story: Story) -> None:
    """Keep the words that a saved story is found by."""
    session.flush()
    parts = (story.headline, story.byline, story.slug, *(tag.name for tag in story.tags))
    folded = fold(" ".join(parts))
    session.execute(
        insert_into(session, StorySearch)
        .values(story_id=story.id, folded=folded)
        .on_conflict_do_update(index_elements=[StorySearch.story_id], set_={"folded": folded})
    )


def find(
    session: Session,
    *,
    state: StoryState | None = None,
    author_id: int | None = None,
    words: str = "",
    after: str | None = None,
    size: int = 20,
) -> DeskPage:
    """A page of stories, the last saved first, that hold every one of these parts of words."""
    query = select(Story).options(selectinload(Story.sources))
    if state is not None:
        query = query.where(Story.state == state)
    if author_id is not None:
        query = query.where(Story.author_id == author_id)
    if after:
        moment, story_id = place(after)
        same = (Story.updated_at == moment) & (Story.id < story_id)
        query = query.where(or_(Story.updated_at < moment, same))
    query = _holding(query, fold(words).split()[:MOST_WORDS])
    query = query.order_by(Story.updated_at.desc(), Story.id.desc())
    found = session.scalars(query.limit(size + 1)).all()
    last = found[size - 1] if len(found) > size else None
    return DeskPage(found[:size], f"{last.updated_at.isoformat()}~{last.id}" if last else None)


def _holding(query: Select[Story], words: list[str]) -> Select[Story]:
    if not words:
        return query
    holds = (StorySearch.folded.contains(word, autoescape=True) for word in words)
    return query.where(Story.id.in_(select(StorySearch.story_id).where(*holds)))
