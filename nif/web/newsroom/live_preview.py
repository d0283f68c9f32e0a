"""The preview of a story form as typed: page, digest entry, share card, open checks and block."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.stories.checks import CheckFinding, FindingLevel, list_overridden_codes, run_checks
from nif.stories.declarations import AnswerInput, DeclarationQuestion, sign_answers
from nif.stories.models import Story
from nif.stories.publishing import freeze_revision
from nif.stories.records import StoryRecords, look_up_story_records
from nif.stories.transparency_block import build_transparency_block
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.newsroom.picture_choices import PictureChoices, load_picture_choices
from nif.web.newsroom.story_form import StoryForm, read_story_form
from nif.web.newsroom.story_validation import build_unsaved_story

blueprint = Blueprint("newsroom_live_preview", __name__, url_prefix="/newsroom")


@dataclass(frozen=True)
class StoryPreview:
    """The story that saving a form would make. `saved` is the stored story, if there is one."""

    story: Story
    saved: Story | None
    findings: Sequence[CheckFinding]
    sentences: Sequence[dict[str, Any]]
    pictures: PictureChoices


@blueprint.post("/preview")
@open_to(Access.AUTHOR)
def show() -> ResponseReturnValue:
    """A POST because the form is long. It renders and stores nothing."""
    form = read_story_form(request.form)
    story_id = request.form.get("story", default=0, type=int)
    now = utc_now()
    with reading() as session:
        preview = preview_story_form(session, form, story_id, now=now)
        body = freeze_revision(session, preview.story, by=current_user.id, now=now)
    return render_template(
        "newsroom/live_preview/show.html",
        body=body,
        findings=preview.findings,
        sentences=preview.sentences,
        form=form,
        pictures=preview.pictures,
    )


def preview_story_form(
    session: Session, form: StoryForm, story_id: int | None, *, now: datetime
) -> StoryPreview:
    """The story as saving the form would make it. Overridden checks are left out of `findings`."""
    saved = session.get(Story, story_id) if story_id and 0 < story_id < 2**63 else None
    story = build_unsaved_story(form)
    story.author_id = saved.author_id if saved else current_user.id
    records = look_up_story_records(session, story, story_id=saved.id if saved else None, now=now)
    story.answers = _signed_declarations(story, saved, records, now)
    overridden = list_overridden_codes(session, saved) if saved else []
    sentences = build_transparency_block(
        build_unsaved_story(form, gap="[…]"),
        register_sentences=records.disclosures.sentences,
        pictures=records.pictures.values(),
    )
    return StoryPreview(
        story=story,
        saved=saved,
        findings=[
            finding
            for finding in run_checks(records.check_context(story, now=now))
            if finding.level is not FindingLevel.DECIDE or finding.code not in overridden
        ],
        sentences=[asdict(sentence) for sentence in sentences],
        pictures=load_picture_choices(session, form),
    )


def _signed_declarations(
    story: Story, saved: Story | None, records: StoryRecords, now: datetime
) -> dict[str, Any]:
    """The declarations as saving would sign them.

    Unchanged ones keep their signature; new ones refer to the parties that the text names now.
    """
    answers = {
        DeclarationQuestion(name): AnswerInput(answer["value"], answer["details"])
        for name, answer in story.answers.items()
    }
    before = saved.answers if saved else {}
    return sign_answers(
        before or {}, answers, by=story.byline, by_id=None, now=now, parties=records.parties
    )
