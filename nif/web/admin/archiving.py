"""Ending a list: archiving it, taking it back, and deleting one that nobody ever joined."""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.errors import Conflict
from nif.sends.certifying import tally
from nif.sends.reading import sends_under_way
from nif.stories.publishing import restock
from nif.subscriptions.archiving import archive, delete, history_of, take_back
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.admin import words
from nif.web.current import reading, transaction

blueprint = Blueprint("archiving", __name__)

HISTORY = {
    "subscription": "people who are on it or were",
    "consent": "records of consent",
    "edition": "editions",
    "import_run": "imports",
    "day_count": "counts of what happened on it",
}
"""What refers to a list, in words; anything else is other records."""

Deed = Callable[[Session, MailingList, datetime], None]


@blueprint.get("/lists/<slug>/archive")
@open_to(Access.ADMIN)
def ask(slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, slug)
        under_way = []
        for send in sends_under_way(session, mailing_list.id):
            counted = tally(session, send)
            subject = send.edition.as_message().subject
            under_way.append((send, subject, words.state(send, counted, now=utc_now()), counted))
    return render_template(
        "admin/archiving/archive.html", mailing_list=mailing_list, under_way=under_way
    )


@blueprint.post("/lists/<slug>/archive")
@open_to(Access.ADMIN)
def end(slug: str) -> ResponseReturnValue:
    def deed(session: Session, mailing_list: MailingList, now: datetime) -> None:
        archive(session, mailing_list, now=now)
        _note(session, "list_archived", slug, now)

    return _do(slug, deed, "The list is archived. Its readers stay as they are.")


@blueprint.post("/lists/<slug>/take-back")
@open_to(Access.ADMIN)
def go_on(slug: str) -> ResponseReturnValue:
    def deed(session: Session, mailing_list: MailingList, now: datetime) -> None:
        take_back(session, mailing_list, now=now)
        _note(session, "list_taken_back", slug, now)

    return _do(slug, deed, "The list goes on with its next slot.")


@blueprint.get("/lists/<slug>/delete")
@open_to(Access.ADMIN)
def ask_to_delete(slug: str) -> ResponseReturnValue:
    with reading() as session:
        mailing_list = get_list(session, slug)
        found = history_of(session, mailing_list)
    history = [said for name, said in HISTORY.items() if name in found]
    return render_template(
        "admin/archiving/delete.html",
        mailing_list=mailing_list,
        has_history=bool(found),
        history=history or ["other records"],
    )


@blueprint.post("/lists/<slug>/delete")
@open_to(Access.ADMIN)
def remove(slug: str) -> ResponseReturnValue:
    now = utc_now()
    try:
        with transaction() as session:
            mailing_list = get_list(session, slug)
            title = mailing_list.title
            delete(session, mailing_list)
            _note(session, "list_deleted", slug, now, {"title": title})
            restock(session)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
        return redirect(url_for(".ask_to_delete", slug=slug), 303)
    flash(f"{title} is deleted.", "good")
    return redirect(url_for("admin_lists.overview"), 303)


def _do(slug: str, deed: Deed, after: str) -> ResponseReturnValue:
    """Do something to a list and say so; what may not be is told, and changes nothing."""
    try:
        with transaction() as session:
            deed(session, get_list(session, slug), utc_now())
            restock(session)
    except Conflict as error:
        flash(f"{error} Nothing was changed.")
    else:
        flash(after, "good")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


def _note(
    session: Session, what: str, slug: str, now: datetime, detail: dict[str, str] | None = None
) -> None:
    note(session, current_user, what, kind="list", subject=slug, detail=detail, now=now)
