"""The lists: their counters and schedules, what the next digest would hold, what has gone out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.auditing import changed, note
from nif.clock import utc_now
from nif.editions.archive import newest_slots
from nif.editions.composing import compose, upcoming
from nif.editions.models import DIGEST, Edition
from nif.editions.scheduling import Slot
from nif.errors import Conflict, Invalid
from nif.sends.certifying import Tally, tallies
from nif.sends.models import Send
from nif.sends.reading import sends_of_list, troubled_sends
from nif.stories.publishing import restock
from nif.subscriptions.establishing import establish, reschedule
from nif.subscriptions.joining import all_lists, get_list
from nif.subscriptions.models import MailingList
from nif.web.access import Access, open_to
from nif.web.admin import editions, house, previews, words
from nif.web.admin.list_form import OFTEN, ListForm, charter_of, filled, read, schedule_of, zones
from nif.web.current import parts, reading, settings, transaction

blueprint = Blueprint("admin_lists", __name__, url_prefix="/admin")
blueprint.context_processor(house.banner)
blueprint.register_blueprint(house.blueprint)
blueprint.register_blueprint(editions.blueprint)
blueprint.register_blueprint(previews.blueprint)

SENDS_SHOWN = 3


@dataclass(frozen=True)
class SendRow:
    """A send as one line shows it."""

    send: Send
    subject: str
    list_title: str
    slot: Any
    state: str
    tally: Tally
    trouble: words.Trouble | None


@blueprint.get("/")
@open_to(Access.ADMIN)
def overview() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        troubled = _rows(session, troubled_sends(session))
        founded = all_lists(session)
        last = [sends_of_list(session, one.id, most=SENDS_SHOWN) for one in founded]
        rows = {
            row.send.id: row for row in _rows(session, [send for some in last for send in some])
        }
        lists = [
            (one, _next_slot(session, one, now), [rows[send.id] for send in some])
            for one, some in zip(founded, last, strict=True)
        ]
        matters = house.matters(session, now=now)
    return render_template(
        "admin/lists/overview.html", troubled=troubled, lists=lists, matters=matters
    )


@blueprint.get("/lists/<slug>")
@open_to(Access.ADMIN)
def one(slug: str) -> ResponseReturnValue:
    return _page(slug)


@blueprint.post("/lists/<slug>/schedule")
@open_to(Access.ADMIN)
def schedule(slug: str) -> ResponseReturnValue:
    form = read(request.form)
    try:
        with transaction() as session:
            now, mailing_list = utc_now(), get_list(session, slug)
            before = f"{mailing_list.schedule}, {mailing_list.zone}"
            reschedule(mailing_list, schedule_of(form), form.zone, now=now)
            after = f"{mailing_list.schedule}, {mailing_list.zone}"
            _note(session, "schedule_changed", slug, now, {"schedule": changed(before, after)})
            restock(session)
    except Invalid as error:
        return _page(slug, form=form, problems=error.problems), 422
    flash("The schedule is changed. The next digest follows it.", "good")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


@blueprint.get("/lists/new")
@open_to(Access.ADMIN)
def begin() -> ResponseReturnValue:
    return _new(ListForm(zone=settings().time_zone))


@blueprint.post("/lists/new")
@open_to(Access.ADMIN)
def create() -> ResponseReturnValue:
    form = read(request.form)
    try:
        with transaction() as session:
            now = utc_now()
            slug = establish(session, charter_of(form), now=now).slug
            _note(session, "list_created", slug, now, {"title": form.title})
            restock(session)
    except Invalid as error:
        return _new(form, error.problems), 422
    except Conflict as error:
        return _new(form, {"slug": f"{error} Choose another short name."}), 422
    flash("The list is there. People can subscribe to it from now on.", "good")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


def _note(session: Session, what: str, slug: str, now: datetime, detail: dict[str, Any]) -> None:
    note(session, current_user, what, kind="list", subject=slug, detail=detail, now=now)


def _new(form: ListForm, problems: dict[str, str] | None = None) -> str:
    return render_template(
        "admin/lists/new.html",
        form=form,
        problems=problems or {},
        often=OFTEN,
        zones=zones(),
    )


def _page(
    slug: str, *, form: ListForm | None = None, problems: dict[str, str] | None = None
) -> str:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        next_slot = _next_slot(session, mailing_list, now)
        digest = compose(session, mailing_list, next_slot, parts().desk, now=now)
        sends = {row.send.edition_id: row for row in _last_sends(session, mailing_list.id, 30)}
        past = newest_slots(session, mailing_list)
    return render_template(
        "admin/lists/list.html",
        mailing_list=mailing_list,
        next_slot=next_slot,
        digest=digest,
        editions=past,
        sends=sends,
        slot_words=words.SLOTS,
        form=form or filled(mailing_list),
        problems=problems or {},
        often=OFTEN,
        zones=zones(),
    )


def _next_slot(session: Session, mailing_list: MailingList, now: datetime) -> Slot:
    """The next slot that will be kept: today's may have been filled by hand."""
    slot = upcoming(mailing_list, now=now)
    made = select(Edition.id).where(
        Edition.list_id == mailing_list.id,
        Edition.slot == slot.day,
        Edition.occasion == DIGEST,
    )
    return upcoming(mailing_list, now=slot.due_at) if session.scalar(made) else slot


def _last_sends(session: Session, list_id: int, most: int) -> list[SendRow]:
    return _rows(session, sends_of_list(session, list_id, most=most))


def _rows(session: Session, sends: Sequence[Send]) -> list[SendRow]:
    """Some sends as lines show them; how far they are is asked for all of them at once."""
    counted, now = tallies(session, sends), utc_now()
    return [
        SendRow(
            send=send,
            subject=send.edition.as_message().subject,
            list_title=send.mailing_list.title,
            slot=send.edition.slot,
            state=words.state(send, counted[send.id], now=now),
            tally=counted[send.id],
            trouble=words.trouble(send),
        )
        for send in sends
    ]
