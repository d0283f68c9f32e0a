"""The embed code of a list's sign-up form: an iframe, or plain HTML."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.subscriptions.lists import get_list
from nif.tokens import TokenPurpose
from nif.web.access import Access, open_to
from nif.web.current import links, reading, tokens

blueprint = Blueprint("embed_form", __name__)

FRAME_HEIGHT = 440
"""Height in pixels that the form needs in a column of 280 pixels. The frame has no border, so
unused height is invisible."""


@blueprint.get("/lists/<slug>/embed")
@open_to(Access.ADMIN)
def show(slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, slug)
    address = links().path(f"/embed/{slug}")
    context = {"mailing_list": mailing_list, "address": address, "height": FRAME_HEIGHT}
    key = tokens().make(TokenPurpose.EMBED, mailing_list.id)
    return render_template(
        "admin/embed_form/show.html",
        **context,
        frame=render_template("admin/embed_form/frame.html", **context),
        plain=render_template(
            "admin/embed_form/plain.html",
            mailing_list=mailing_list,
            action=links().path("/subscribe"),
            key=key,
        ),
    )
