"""The outbox, in development only: the mails that would have been sent, newest first."""

from flask import Blueprint, Response, render_template, request

from nif.mail import outbox
from nif.web.access import Access, open_to
from nif.web.current import reading
from nif.web.security import framed_mail_response

blueprint = Blueprint("outbox", __name__, url_prefix="/outbox")


@blueprint.get("")
@open_to(Access.PUBLIC)
def index() -> str:
    with reading() as session:
        page = outbox.list_outbox_mails(session, after=request.args.get("after"))
        return render_template("public/outbox/index.html", page=page)


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
