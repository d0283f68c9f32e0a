"""A story form as typed: its page, digest entry, share card, open checks, block, and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.media.library import find_pictures_by_id, list_picture_choices
from nif.media.models import Picture, snapshot_picture
from nif.stories.checks import CheckFinding, FindingLevel, list_overridden_codes, run_checks
from nif.stories.drafts import PICTURE_GONE
from nif.stories.models import Story
from nif.stories.publishing import freeze_revision
from nif.stories.records import StoryRecords, look_up_story_records
from nif.stories.transparency_block import (
    AnswerInput,
    DeclarationQuestion,
    build_transparency_block,
    sign_answers,
)
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.newsroom.story_form import (
    StoryForm,
    build_unsaved_story,
    parse_picture_id,
    read_story_form,
)

blueprint = Blueprint("newsroom_live_preview", __name__, url_prefix="/newsroom")

LONGEST_PICTURE_LABEL = 70


@dataclass(frozen=True)
class PictureChoices:
    """What the story form shows of the picture library.

    `labels` has the pictures on offer, by id as in the form. `snapshots` has the chosen pictures
    whose files are ready, by field. `missing` has a problem for each field whose picture is gone.
    """

    labels: Mapping[str, str]
    snapshots: Mapping[str, dict[str, Any]]
    missing: Mapping[str, str]


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
def show() -> str:
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
            for finding in run_checks(records)
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


def load_picture_choices(session: Session, form: StoryForm) -> PictureChoices:
    """The newest pictures and those chosen in the form."""
    chosen = _chosen_picture_ids(form)
    known = find_pictures_by_id(session, set(chosen.values()))
    labels = {
        str(picture.id): picture_label(picture)
        for picture in list_picture_choices(session, set(chosen.values()))
    }
    snapshots = {
        field: snapshot_picture(known[picture_id])
        for field, picture_id in chosen.items()
        if picture_id in known and known[picture_id].ready_set
    }
    return PictureChoices(labels, snapshots, _missing_problems(chosen, known))


def find_missing_pictures(session: Session, form: StoryForm) -> dict[str, str]:
    """A problem for each field whose picture is no longer in the library."""
    chosen = _chosen_picture_ids(form)
    return _missing_problems(chosen, find_pictures_by_id(session, set(chosen.values())))


def picture_label(picture: Picture) -> str:
    """A short label for a list: the alt text, else the caption, else the id."""
    name = " ".join((picture.alt or picture.caption or f"Picture {picture.id}").split())
    if len(name) > LONGEST_PICTURE_LABEL:
        name = f"{name[: LONGEST_PICTURE_LABEL - 1].rstrip()}…"
    return f"{name} (being prepared)" if picture.is_preparing else name


def _chosen_picture_ids(form: StoryForm) -> dict[str, int]:
    fields = {"picture_id": form.picture_id}
    fields |= {f"sections-{n}-picture": row.picture for n, row in enumerate(form.sections)}
    return {field: number for field, text in fields.items() if (number := parse_picture_id(text))}


def _missing_problems(chosen: Mapping[str, int], known: Mapping[int, Picture]) -> dict[str, str]:
    return {field: PICTURE_GONE for field, picture_id in chosen.items() if picture_id not in known}
