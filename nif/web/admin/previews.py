"""The next digest of a list as its readers would get it now, and one copy of it to oneself."""

from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.editions.composing import Digest, compose, upcoming
from nif.editions.testing import as_read_by, as_test
from nif.errors import NotFound
from nif.mail.posting import write_letter
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.current import links, parts, reading, transaction
from nif.web.framing import in_a_frame

blueprint = Blueprint("previews", __name__, url_prefix="/lists/<slug>/preview")


@blueprint.get("")
@open_to(Access.ADMIN)
def show(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        message = _composed(session, mailing_list, now).message
        return render_template(
            "admin/previews/digest.html",
            mailing_list=mailing_list,
            next_slot=upcoming(mailing_list, now=now),
            message=message and as_read_by(message, current_user.email, links()),
            to=current_user.email,
        )


@blueprint.get("/body")
@open_to(Access.ADMIN)
def body(slug: str) -> ResponseReturnValue:
    with reading() as session:
        message = _composed(session, get_list(session, slug), utc_now()).message
    if message is None:
        raise NotFound("There is nothing new for this list.")
    return in_a_frame(as_read_by(message, current_user.email, links()).html)


@blueprint.post("/test")
@open_to(Access.ADMIN)
def test(slug: str) -> ResponseReturnValue:
    to, now = current_user.email, utc_now()
    with transaction() as session:
        message = _composed(session, get_list(session, slug), now).message
        if message is not None:
            write_letter(session, to, as_test(message, to, links()), now=now)
            note(session, current_user, "digest_tested", kind="list", subject=slug, now=now)
    if message is None:
        flash("There is nothing new to send: nothing was mailed.")
    else:
        parts().queue.wake("letters")
        flash(f"One copy is on its way to {to}. No reader gets anything by it.", "good")
    return redirect(url_for(".show", slug=slug), 303)


def _composed(session: Session, mailing_list: MailingList, now: datetime) -> Digest:
    if mailing_list.archived_at is not None:
        return Digest([], None)
    return compose(session, mailing_list, upcoming(mailing_list, now=now), parts().desk, now=now)
