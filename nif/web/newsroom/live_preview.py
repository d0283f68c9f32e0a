"""What beside a form is said of the story in it: its block, what it lacks, and its pictures.

How a form would read as it stands: its page, its lines in a digest, its card where shared.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.stories.checks.checks import list_overridden_codes, run_checks
from nif.stories.checks.findings import CheckFinding, FindingLevel
from nif.stories.declarations import AnswerInput, DeclarationQuestion, sign_answers
from nif.stories.models import Story
from nif.stories.parties import StoryRecords, look_up_story_records
from nif.stories.publishing import freeze_revision
from nif.stories.transparency_block import build_transparency_block
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.newsroom.picture_choices import PictureChoices, load_picture_choices
from nif.web.newsroom.story_form import StoryForm, read_story_form
from nif.web.newsroom.story_validation import build_unsaved_story


@dataclass(frozen=True)
class StoryPreview:
    """A form seen as a story: `saved` is what the database has of it, if anything."""

    story: Story
    saved: Story | None
    findings: Sequence[CheckFinding]
    sentences: Sequence[dict[str, Any]]
    shelf: PictureChoices


def preview_story_form(
    session: Session, form: StoryForm, story_id: int | None, *, now: datetime
) -> StoryPreview:
    """See a form as saving would make it a story; a gate that was opened by decision is open."""
    saved = session.get(Story, story_id) if story_id and 0 < story_id < 2**63 else None
    story = build_unsaved_story(form)
    story.author_id = saved.author_id if saved else current_user.id
    records = look_up_story_records(session, story, story_id=saved.id if saved else None, now=now)
    story.answers = _signed_declarations(story, saved, records, now)
    decided = list_overridden_codes(session, saved) if saved else []
    pictures = records.pictures.values()
    sentences = build_transparency_block(
        build_unsaved_story(form, gap="[…]"),
        register_sentences=records.sentences,
        pictures=pictures,
    )
    return StoryPreview(
        story=story,
        saved=saved,
        findings=[
            one
            for one in run_checks(records.check_context(story, now=now))
            if one.level is not FindingLevel.DECIDE or one.code not in decided
        ],
        sentences=[asdict(sentence) for sentence in sentences],
        shelf=load_picture_choices(session, form),
    )


def _signed_declarations(
    story: Story, saved: Story | None, records: StoryRecords, now: datetime
) -> dict[str, Any]:
    """The answers as saving would sign them: those that were saved before stay as they were, and
    new ones are about whom the text names now."""
    given = {
        DeclarationQuestion(name): AnswerInput(answer["value"], answer["details"])
        for name, answer in story.answers.items()
    }
    before = saved.answers if saved else {}
    who, parties = story.byline, records.parties
    return sign_answers(before or {}, given, by=who, by_id=None, now=now, parties=parties)


blueprint = Blueprint("newsroom_live_preview", __name__, url_prefix="/newsroom")


@blueprint.post("/preview")
@open_to(Access.AUTHOR)
def show() -> ResponseReturnValue:
    """A POST because a form is long; it renders, and stores nothing."""
    form = read_story_form(request.form)
    story_id = request.form.get("story", default=0, type=int)
    now = utc_now()
    with reading() as session:
        seen = preview_story_form(session, form, story_id, now=now)
        body = freeze_revision(session, seen.story, by=current_user.id, now=now)
    return render_template(
        "newsroom/live_preview/show.html",
        body=body,
        findings=seen.findings,
        sentences=seen.sentences,
        form=form,
        shelf=seen.shelf,
    )
