"""The outbox, in development only: the mails that would have been sent, newest first."""

from flask import Blueprint, Response, render_template, request
from sqlalchemy.orm import Session

from nif.mail import outbox
from nif.web.access import Access, page_view
from nif.web.security import framed_mail_response

blueprint = Blueprint("outbox", __name__, url_prefix="/outbox")


@page_view(blueprint, Access.PUBLIC, "")
def index(session: Session) -> str:
    page = outbox.list_outbox_mails(session, after=request.args.get("after"))
    return render_template("public/outbox/index.html", page=page)


@page_view(blueprint, Access.PUBLIC, "/<id:mail_id>")
def show(session: Session, mail_id: int) -> str:
    found = outbox.get_outbox_mail(session, mail_id)
    return render_template("public/outbox/show.html", mail=found)


@page_view(blueprint, Access.PUBLIC, "/<id:mail_id>/body")
def show_html(session: Session, mail_id: int) -> Response:
    html = outbox.get_outbox_mail(session, mail_id).html
    return framed_mail_response(html)
