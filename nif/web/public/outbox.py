"""The outbox, in development only: the mails that would have been sent, newest first."""

from flask import Blueprint, Response, render_template, request

from nif.mail import outbox
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.security import framed_mail_response

MAX_MAIL_ID = 2**63 - 1
blueprint = Blueprint("outbox", __name__, url_prefix="/outbox")


@blueprint.get("")
@open_to(Access.PUBLIC)
def index() -> str:
    before = min(request.args.get("before", MAX_MAIL_ID, type=int), MAX_MAIL_ID)
    with reading() as session:
        mails = outbox.list_outbox_mails(session, before=before)
        return render_template("public/outbox/index.html", mails=mails)


@blueprint.get("/<id:mail_id>")
@open_to(Access.PUBLIC)
def show(mail_id: int) -> str:
    with reading() as session:
        found = outbox.get_outbox_mail(session, mail_id)
        return render_template("public/outbox/show.html", mail=found)


@blueprint.get("/<id:mail_id>/body")
@open_to(Access.PUBLIC)
def show_html(mail_id: int) -> Response:
    with reading() as session:
        html = outbox.get_outbox_mail(session, mail_id).html
    return framed_mail_response(html)
