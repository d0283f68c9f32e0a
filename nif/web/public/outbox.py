"""Development only: the mails that would have gone out, newest first."""

from flask import Blueprint, Response, render_template, request

from nif.mail import outbox
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.framing import in_a_frame

LARGEST_ID = 2**63 - 1
blueprint = Blueprint("outbox", __name__, url_prefix="/outbox")


@blueprint.get("")
@open_to(Access.PUBLIC)
def index() -> str:
    before = min(request.args.get("before", LARGEST_ID, type=int), LARGEST_ID)
    with reading() as session:
        mails = outbox.newest_mails(session, before=before)
        return render_template("public/outbox/index.html", mails=mails)


@blueprint.get(f"/<int(max={LARGEST_ID}):mail_id>")
@open_to(Access.PUBLIC)
def mail(mail_id: int) -> str:
    with reading() as session:
        found = outbox.get_mail(session, mail_id)
        return render_template("public/outbox/mail.html", mail=found)


@blueprint.get(f"/<int(max={LARGEST_ID}):mail_id>/body")
@open_to(Access.PUBLIC)
def body(mail_id: int) -> Response:
    with reading() as session:
        html = outbox.get_mail(session, mail_id).html
    return in_a_frame(html)
