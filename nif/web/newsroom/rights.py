"""Who may change which draft."""

from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.models import RoleName
from nif.errors import NotAllowed
from nif.stories.drafting import get_story
from nif.stories.models import Story

OTHERS = "This draft is someone else’s: authors change their own. Nothing was changed."


def may_change(story: Story) -> bool:
    """Editors change every draft, authors their own."""
    return bool(current_user.may(RoleName.EDITOR) or story.author_id == current_user.id)


def get_own_story(session: Session, story_id: int, *, lock: bool = False) -> Story:
    """A story that whoever asks may change. Raises NotFound and NotAllowed."""
    story = get_story(session, story_id, lock=lock)
    if not may_change(story):
        raise NotAllowed(OTHERS)
    return story
