"""Development only: the mails that would have gone out, newest first."""

from flask import Blueprint, Response, render_template, request

from nif.mail import outbox
from nif.web.access import Access, open_to
from nif.web.current import reading

blueprint = Blueprint("outbox", __name__, url_prefix="/outbox")


@blueprint.get("")
@open_to(Access.PUBLIC)
def index() -> str:
    before = request.args.get("before", type=int)
    with reading() as session:
        mails = outbox.newest_mails(session, before=before)
        return render_template("public/outbox/index.html", mails=mails)


@blueprint.get("/<int:mail_id>")
@open_to(Access.PUBLIC)
def mail(mail_id: int) -> str:
    with reading() as session:
        found = outbox.get_mail(session, mail_id)
        return render_template("public/outbox/mail.html", mail=found)


@blueprint.get("/<int:mail_id>/body")
@open_to(Access.PUBLIC)
def body(mail_id: int) -> Response:
    """The HTML part alone, for the frame: it may carry its own styles and run nothing."""
    with reading() as session:
        html = outbox.get_mail(session, mail_id).html
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'"
    )
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
