"""How a form would read as it stands: its page, its lines in a digest, its card where shared."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.stories.answers import Given, Question, sign
from nif.stories.disclosing import block
from nif.stories.gating import check
from nif.stories.models import Story
from nif.stories.parties import look_up
from nif.stories.publishing import freeze
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.newsroom.story_copy import sketch
from nif.web.newsroom.story_form import read
from nif.web.newsroom.story_pictures import shelf_for

blueprint = Blueprint("newsroom_previewing", __name__, url_prefix="/newsroom")


@blueprint.post("/preview")
@open_to(Access.AUTHOR)
def preview() -> ResponseReturnValue:
    """A POST because a form is long; it renders, and stores nothing."""
    form = read(request.form)
    story = sketch(form)
    story.author_id = _author_of(request.form.get("story", default=0, type=int))
    shown = sketch(form, gap="[…]")
    now = utc_now()
    with reading() as session:
        number = request.form.get("story", default=0, type=int)
        on_record = look_up(session, story, story_id=number or None, now=now)
        story.answers = _signed(session, story, number, on_record.parties, now)
        body = freeze(session, story, by=current_user.id, now=now)
        shelf = shelf_for(session, form)
    shown_pictures = on_record.pictures.values()
    sentences = block(shown, on_record=on_record.sentences, pictures=shown_pictures)
    return render_template(
        "newsroom/previewing/live.html",
        body=body,
        findings=check(on_record.case(story, now=now)),
        sentences=[asdict(one) for one in sentences],
        form=form,
        shelf=shelf,
    )


def _author_of(story_id: int) -> int | None:
    """Who wrote a story; a new one is by whoever asks."""
    if not 0 < story_id < 2**63:
        return int(current_user.id)
    with reading() as session:
        story = session.get(Story, story_id)
        return story.author_id if story else int(current_user.id)


def _signed(
    session: Session, story: Story, story_id: int, parties: Sequence[int], now: datetime
) -> dict[str, Any]:
    """The answers as saving would sign them: those that were saved before stay as they were, and
    new ones are about whom the text names now."""
    saved = session.get(Story, story_id) if 0 < story_id < 2**63 else None
    given = {
        Question(name): Given(answer["value"], answer["details"])
        for name, answer in story.answers.items()
    }
    before = saved.answers if saved else {}
    return sign(before or {}, given, by=story.byline, by_id=None, now=now, parties=parties)
