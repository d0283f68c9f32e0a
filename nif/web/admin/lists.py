"""The lists: their counters and schedules, what the next digest would hold, what has gone out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.editions.archive import newest_slots
from nif.editions.composing import Digest, compose, upcoming
from nif.editions.models import DIGEST, Edition
from nif.editions.scheduling import Slot
from nif.sends.certifying import Tally, tallies
from nif.sends.models import Send
from nif.sends.reading import sends_of_list, troubled_sends
from nif.stories.topics import named
from nif.subscriptions.languages import LANGUAGES
from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import all_lists, get_list
from nif.web.access import Access, open_to
from nif.web.admin import archiving, charters, editions, embedding, house, previews, words
from nif.web.current import parts, reading

blueprint = Blueprint("admin_lists", __name__, url_prefix="/admin")
blueprint.context_processor(house.banner)
blueprint.register_blueprint(house.blueprint)
blueprint.register_blueprint(editions.blueprint)
for part in (charters, archiving, embedding, previews):
    blueprint.register_blueprint(part.blueprint)

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
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        next_slot = _next_slot(session, mailing_list, now)
        digest = _next_digest(session, mailing_list, next_slot, now)
        sends = {row.send.edition_id: row for row in _last_sends(session, mailing_list.id, 30)}
        past = newest_slots(session, mailing_list)
        topics = list(named(session, mailing_list.topics).values())
    return render_template(
        "admin/lists/list.html",
        mailing_list=mailing_list,
        next_slot=next_slot,
        digest=digest,
        editions=past,
        sends=sends,
        slot_words=words.SLOTS,
        topics=topics,
        languages=LANGUAGES,
    )


def _next_digest(session: Session, mailing_list: MailingList, slot: Slot, now: datetime) -> Digest:
    if mailing_list.archived_at is not None:
        return Digest([], None)
    return compose(session, mailing_list, slot, parts().desk, now=now)


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
