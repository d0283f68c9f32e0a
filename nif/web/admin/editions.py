"""Sending a list its edition now, by hand."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.auditing import note
from nif.clock import utc_now
from nif.editions.composing import Digest, compose, make_now, upcoming
from nif.editions.models import DIGEST, Edition, EditionState
from nif.editions.scheduling import Slot
from nif.editions.writing import hash_of
from nif.errors import Conflict
from nif.sends.models import Send
from nif.sends.planning import NOBODY, plan_by_hand
from nif.subscriptions.choosing import has_choosers
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import get_list
from nif.web.access import Access, open_to
from nif.web.admin import words
from nif.web.current import parts, reading, transaction

blueprint = Blueprint("editions", __name__)

ON_ITS_WAY = "This list has its edition of today already: this is it. Nothing more was sent."


class Changed(Conflict):
    """What would be sent is not what was shown."""


@dataclass(frozen=True)
class Preview:
    """What would be sent now. `had` is today's edition where there is one already, `send` its send.

    `seen` names exactly what is shown, so that nothing else is sent.
    """

    mailing_list: MailingList
    digest: Digest
    seen: str
    had: Edition | None
    send: Send | None
    slot_today: str | None


@blueprint.get("/lists/<slug>/send")
@open_to(Access.ADMIN)
def preview(slug: str) -> ResponseReturnValue:
    return _page(slug)


@blueprint.post("/lists/<slug>/send")
@open_to(Access.ADMIN)
def send_now(slug: str) -> ResponseReturnValue:
    try:
        send_id = _make_and_plan(slug, request.form.get("seen", ""), utc_now())
    except Changed:
        return _page(slug, changed=True), 409
    except Conflict as error:
        return _had_already(slug, error)
    parts().queue.wake("sends")
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


def _make_and_plan(slug: str, seen: str, now: datetime) -> int:
    """Make today's edition and its send. Raises Conflict, and then nothing was made."""
    with transaction() as session:
        edition = make_now(session, get_list(session, slug), parts().desk, now=now)
        if edition.content_hash != seen:
            raise Changed
        send = plan_by_hand(session, edition, parts().terms_by_hand, at=now, now=now)
        detail = {"list": slug}
        note(
            session,
            current_user,
            "send_begun",
            kind="send",
            subject=send.id,
            detail=detail,
            now=now,
        )
        return send.id


def _had_already(slug: str, error: Conflict) -> ResponseReturnValue:
    """A second click leads to where the first one led."""
    with reading() as session:
        send = _send_of(session, _todays(session, get_list(session, slug), utc_now()))
    if send is not None:
        flash(ON_ITS_WAY)
        return redirect(url_for("admin_sends.show", send_id=send.id), 303)
    flash(f"{error} Nothing was changed.")
    return redirect(url_for("admin_lists.one", slug=slug), 303)


def _page(slug: str, *, changed: bool = False) -> str:
    with reading() as session:
        shown = _preview(session, get_list(session, slug), utc_now())
        return render_template(
            "admin/editions/send.html",
            preview=shown,
            mailing_list=shown.mailing_list,
            undo=parts().terms_by_hand.undo,
            nobody=NOBODY,
            choosers=has_choosers(session, shown.mailing_list.id),
            changed=changed,
        )


def _preview(session: Session, mailing_list: MailingList, now: datetime) -> Preview:
    had = _todays(session, mailing_list, now)
    today = now.astimezone(ZoneInfo(mailing_list.zone)).date()
    slot, desk = Slot(today, now), parts().desk
    is_over = had or mailing_list.archived_at is not None
    digest = Digest([], None) if is_over else compose(session, mailing_list, slot, desk, now=now)
    next_slot = upcoming(mailing_list, now=now)
    return Preview(
        mailing_list=mailing_list,
        digest=digest,
        seen=hash_of(digest.message) if digest.message else "",
        had=had,
        send=_send_of(session, had),
        slot_today=words.clock(next_slot.due_at, mailing_list.zone)[:5]
        if next_slot.day == today
        else None,
    )


def _todays(session: Session, mailing_list: MailingList, now: datetime) -> Edition | None:
    """The digest that a list has had today."""
    return session.scalar(
        select(Edition).where(
            Edition.list_id == mailing_list.id,
            Edition.occasion == DIGEST,
            Edition.slot == now.astimezone(ZoneInfo(mailing_list.zone)).date(),
            Edition.state == EditionState.FROZEN,
        )
    )


def _send_of(session: Session, edition: Edition | None) -> Send | None:
    if edition is None:
        return None
    return session.scalar(select(Send).where(Send.edition_id == edition.id))
