"""What the desk keeps beside a story: words to find it by, and the texts that were typed."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from nif.accounts.models import Account
from nif.database import Base, BigId
from nif.stories.models import Story


class StorySearch(Base):
    """The words that a story is found by, folded: its headline, byline, address and tags.

    A narrow table of its own, so that looking through all of it reads little.
    """

    __tablename__ = "story_search"

    story_id: Mapped[int] = mapped_column(
        ForeignKey(Story.id), primary_key=True, autoincrement=False
    )
    folded: Mapped[str]


class Autosave(Base):
    """A form as someone typed it, field by field. Nothing of it is lost to whoever saves later.

    `edits` is the count of savings that the story had with it; None where it was kept only, for
    the draft could not take it.
    """

    __tablename__ = "story_autosave"
    __table_args__ = (Index("ix_story_autosave_kept", "story_id", "by_id", "id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey(Story.id))
    by_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    by: Mapped[str]
    at: Mapped[datetime]
    edits: Mapped[int | None]
    form: Mapped[dict[str, Any]]
