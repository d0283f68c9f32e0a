"""What beside a form is said of the story in it: its block, what it lacks, and its pictures."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask_login import current_user
from sqlalchemy.orm import Session

from nif.stories.answers import Given, Question, sign
from nif.stories.disclosing import block
from nif.stories.gates.finding import Finding, Weight
from nif.stories.gating import check, decided_codes
from nif.stories.models import Story
from nif.stories.parties import OnRecord, look_up
from nif.web.newsroom.story_copy import sketch
from nif.web.newsroom.story_form import StoryForm
from nif.web.newsroom.story_pictures import Shelf, shelf_for


@dataclass(frozen=True)
class Look:
    """A form seen as a story: `saved` is what the database has of it, if anything."""

    story: Story
    saved: Story | None
    findings: Sequence[Finding]
    sentences: Sequence[dict[str, Any]]
    shelf: Shelf


def look(session: Session, form: StoryForm, story_id: int | None, *, now: datetime) -> Look:
    """See a form as saving would make it a story; a gate that was opened by decision is open."""
    saved = session.get(Story, story_id) if story_id and 0 < story_id < 2**63 else None
    story = sketch(form)
    story.author_id = saved.author_id if saved else current_user.id
    on_record = look_up(session, story, story_id=saved.id if saved else None, now=now)
    story.answers = _signed(story, saved, on_record, now)
    decided = decided_codes(session, saved) if saved else []
    pictures = on_record.pictures.values()
    sentences = block(sketch(form, gap="[…]"), on_record=on_record.sentences, pictures=pictures)
    return Look(
        story=story,
        saved=saved,
        findings=[
            one
            for one in check(on_record.case(story, now=now))
            if one.weight is not Weight.DECIDE or one.code not in decided
        ],
        sentences=[asdict(sentence) for sentence in sentences],
        shelf=shelf_for(session, form),
    )


def _signed(
    story: Story, saved: Story | None, on_record: OnRecord, now: datetime
) -> dict[str, Any]:
    """The answers as saving would sign them: those that were saved before stay as they were, and
    new ones are about whom the text names now."""
    given = {
        Question(name): Given(answer["value"], answer["details"])
        for name, answer in story.answers.items()
    }
    before = saved.answers if saved else {}
    who, parties = story.byline, on_record.parties
    return sign(before or {}, given, by=who, by_id=None, now=now, parties=parties)
