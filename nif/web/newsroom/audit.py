"""Writing down who did what in the newsroom, in the transaction of the deed itself."""

from typing import Any

from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.stories.models import Story


def audit_story_action(session: Session, what: str, story: Story, /, **more: Any) -> None:
    """Note that whoever asks did `what` to a story; `more` are short values for the detail."""
    audit_action(session, what, "story", story.id, headline=story.headline, **more)


def audit_action(session: Session, what: str, kind: str, subject: int, /, **detail: Any) -> None:
    """Note that whoever asks did `what` to the `kind` of thing that `subject` is the id of."""
    record_audit_entry(
        session, current_user, what, kind=kind, subject=subject, detail=detail, now=utc_now()
    )
