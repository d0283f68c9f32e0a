"""How a form would read as it stands: its page, its lines in a digest, its card where shared."""

from dataclasses import asdict

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.clock import utc_now
from nif.stories.disclosing import block
from nif.stories.gates.finding import Case
from nif.stories.gating import check
from nif.stories.models import Story
from nif.stories.publishing import freeze
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.newsroom.story_copy import sketch
from nif.web.newsroom.story_form import read

blueprint = Blueprint("newsroom_previewing", __name__, url_prefix="/newsroom")


@blueprint.post("/preview")
@open_to(Access.EDITOR)
def preview() -> ResponseReturnValue:
    """A POST because a form is long; it renders, and stores nothing."""
    form = read(request.form)
    story = sketch(form)
    story.author_id = _author_of(request.form.get("story", default=0, type=int))
    shown = sketch(form, gap="[…]")
    return render_template(
        "newsroom/previewing/live.html",
        body=freeze(story, by=current_user.id, now=utc_now()),
        findings=check(Case(story)),
        sentences=[asdict(sentence) for sentence in block(shown)],
    )


def _author_of(story_id: int) -> int | None:
    """Who wrote a story; a new one is by whoever asks."""
    if not 0 < story_id < 2**63:
        return int(current_user.id)
    with reading() as session:
        story = session.get(Story, story_id)
        return story.author_id if story else int(current_user.id)
