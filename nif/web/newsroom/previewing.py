"""How a form would read as it stands: its page, its lines in a digest, its card where shared."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from nif.clock import utc_now
from nif.stories.publishing import freeze
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.newsroom.looking import look
from nif.web.newsroom.story_form import read

blueprint = Blueprint("newsroom_previewing", __name__, url_prefix="/newsroom")


@blueprint.post("/preview")
@open_to(Access.AUTHOR)
def preview() -> ResponseReturnValue:
    """A POST because a form is long; it renders, and stores nothing."""
    form = read(request.form)
    story_id = request.form.get("story", default=0, type=int)
    now = utc_now()
    with reading() as session:
        seen = look(session, form, story_id, now=now)
        body = freeze(session, seen.story, by=current_user.id, now=now)
    return render_template(
        "newsroom/previewing/live.html",
        body=body,
        findings=seen.findings,
        sentences=seen.sentences,
        form=form,
        shelf=seen.shelf,
    )
