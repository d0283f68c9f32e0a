"""Writing down who did what to a story, in the transaction of the deed itself."""

from typing import Any

from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.stories.models import Story


def note_story(session: Session, what: str, story: Story, **more: Any) -> None:
    """Note that whoever asks did `what` to a story; `more` are short values for the detail."""
    detail = {"headline": story.headline, **more}
    now = utc_now()
    note(session, current_user, what, kind="story", subject=story.id, detail=detail, now=now)
