"""Audit entries for what staff do in the newsroom, written in the action's own transaction."""

from typing import Any

from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.stories.models import Story


def audit_story_action(session: Session, action: str, story: Story, /, **detail: Any) -> None:
    """Record that the signed-in account did `action` to a story. Detail values must be short."""
    audit_action(session, action, "story", story.id, headline=story.headline, **detail)


def audit_action(
    session: Session, action: str, kind: str, subject_id: int, /, **detail: Any
) -> None:
    """Record that the signed-in account did `action` to the `kind` with this id."""
    record_audit_entry(
        session, current_user, action, kind, subject_id, detail=detail, now=utc_now()
    )
