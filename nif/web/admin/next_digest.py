"""The next digest of a list: preview, test copy, and sending it now."""

from datetime import datetime

from flask import Blueprint, flash, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.database import get_row
from nif.editions.digest import (
    ComposedDigest,
    compose_digest,
    find_digest,
    find_digest_taken_back,
    make_digest_again,
    make_digest_now,
    next_slot_of_list,
)
from nif.editions.messages import build_test_message, hash_message, preview_message_for
from nif.editions.models import Edition, EditionState
from nif.editions.schedule import Slot, slot_at
from nif.errors import Conflict, NotFound
from nif.mail.transactional import queue_transactional_email
from nif.sends.models import Send
from nif.sends.planning import NO_SUBSCRIBERS, plan_manual_send
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import MailingList
from nif.subscriptions.preferences import has_tag_choices
from nif.web.access import Access, page_view
from nif.web.admin import send_status
from nif.web.current import links, services
from nif.web.forms import Form, Hidden
from nif.web.security import framed_mail_response
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("next_digest", __name__, url_prefix="/lists/<slug>")

ALREADY_SENT = "This list already has today's edition, shown here. Nothing more was sent."
DIGEST_CHANGED = (
    "The digest has changed since you opened this page: a story was published or changed in the "
    "meantime. Check the current digest below, then send it."
)


class SendNowForm(Form):
    """`content_hash` identifies the digest that the page showed, so that nothing else is sent."""

    content_hash = Hidden()


def compose_if_active(
    session: Session, mailing_list: MailingList, slot: Slot, now: datetime
) -> ComposedDigest:
    """The digest of a slot. An archived list has none."""
    if mailing_list.archived_at is not None:
        return ComposedDigest([], None)
    return compose_digest(session, mailing_list, slot, services().mail_writer, now=now)


def _compose_next(session: Session, mailing_list: MailingList, now: datetime) -> ComposedDigest:
    next_slot = next_slot_of_list(mailing_list, now=now)
    return compose_if_active(session, mailing_list, next_slot, now)


@page_view(blueprint, Access.ADMIN, "/preview")
def show(session: Session, slug: str) -> str:
    now = utc_now()
    mailing_list = get_list(session, slug)
    message = _compose_next(session, mailing_list, now).message
    return render_template(
        "admin/next_digest/show.html",
        mailing_list=mailing_list,
        next_slot=next_slot_of_list(mailing_list, now=now),
        message=message and preview_message_for(message, current_user.email, links()),
        taken_back=find_digest_taken_back(session, mailing_list),
        to=current_user.email,
    )


@page_view(blueprint, Access.ADMIN, "/preview/body")
def body(session: Session, slug: str) -> ResponseReturnValue:
    message = _compose_next(session, get_list(session, slug), utc_now()).message
    if message is None:
        raise NotFound("There are no new stories for this list.")
    return framed_mail_response(preview_message_for(message, current_user.email, links()).html)


@blueprint.post("/preview/test")
@staff_action(Access.ADMIN, refused_to=".show")
def send_test(action: StaffAction, slug: str) -> ResponseReturnValue:
    to, mailing_list = current_user.email, get_list(action.session, slug)
    message = _compose_next(action.session, mailing_list, action.now).message
    if message is None:
        raise Conflict("There are no new stories, so no copy was sent.")
    copy = build_test_message(message, to, links())
    queue_transactional_email(action.session, to, copy, now=action.now)
    action.audit("digest_tested", "list", slug)
    action.wake("send_transactional_emails")
    return action.done(f"A test copy is on its way to {to}.", url_for(".show", slug=slug))


@page_view(blueprint, Access.ADMIN, "/send")
def confirm_send(session: Session, slug: str, form: SendNowForm | None = None) -> str:
    form = form or SendNowForm()
    now = utc_now()
    mailing_list = get_list(session, slug)
    today, digest = slot_at(now, mailing_list.zone), ComposedDigest([], None)
    todays_edition, todays_send = _find_todays_edition(session, mailing_list, now)
    if todays_edition is None:
        digest = compose_if_active(session, mailing_list, today, now)
    next_slot = next_slot_of_list(mailing_list, now=now)
    due_at = send_status.format_clock_time(next_slot.due_at, mailing_list.zone)[:5]
    return render_template(
        "admin/next_digest/confirm_send.html",
        form=form,
        mailing_list=mailing_list,
        digest=digest,
        content_hash=hash_message(digest.message) if digest.message else "",
        todays_edition=todays_edition,
        todays_send=todays_send,
        slot_today=due_at if next_slot.day == today.day else None,
        undo=services().manual_send_terms.undo_period,
        no_subscribers_message=NO_SUBSCRIBERS,
        has_tag_choices=has_tag_choices(session, mailing_list.id),
    )


@blueprint.post("/send")
@staff_action(Access.ADMIN, SendNowForm, page=confirm_send)
def send_now(action: StaffAction, form: SendNowForm, slug: str) -> ResponseReturnValue:
    session, mailing_list = action.session, get_list(action.session, slug)
    # A repeated request waits here for the first one, and is redirected to the send that it made.
    session.refresh(mailing_list, with_for_update=True)
    _, todays_send = _find_todays_edition(session, mailing_list, action.now)
    if todays_send:
        flash(ALREADY_SENT)
        return action.done("", url_for("admin_sends.show", send_id=todays_send.id))
    edition = make_digest_now(session, mailing_list, services().mail_writer, now=action.now)
    if edition.content_hash != form.content_hash.data:
        raise Conflict(DIGEST_CHANGED)
    terms = services().manual_send_terms
    send = plan_manual_send(session, edition, terms, at=action.now, now=action.now)
    action.audit("send_started", "send", send.id, list=slug)
    action.wake("start_deliveries")
    return action.done("", url_for("admin_sends.show", send_id=send.id))


@page_view(blueprint, Access.ADMIN, "/again/<id:edition_id>")
def confirm_again(
    session: Session, slug: str, edition_id: int, form: SendNowForm | None = None
) -> str:
    form = form or SendNowForm()
    now, mailing_list = utc_now(), get_list(session, slug)
    edition, digest = find_digest_taken_back(session, mailing_list), ComposedDigest([], None)
    if edition is not None and edition.id == edition_id:
        digest = compose_if_active(session, mailing_list, Slot(edition.slot, now), now)
    return render_template(
        "admin/next_digest/confirm_again.html",
        form=form,
        mailing_list=mailing_list,
        edition=edition if edition is not None and edition.id == edition_id else None,
        digest=digest,
        content_hash=hash_message(digest.message) if digest.message else "",
        undo=services().manual_send_terms.undo_period,
        no_subscribers_message=NO_SUBSCRIBERS,
    )


@blueprint.post("/again/<id:edition_id>")
@staff_action(Access.ADMIN, SendNowForm, page=confirm_again)
def make_again(
    action: StaffAction, form: SendNowForm, slug: str, edition_id: int
) -> ResponseReturnValue:
    session, writer = action.session, services().mail_writer
    taken_back = get_row(session, Edition, edition_id, "There is no such edition.")
    if taken_back.mailing_list.slug != slug:
        raise NotFound("There is no such edition.")
    edition = make_digest_again(session, taken_back, writer, now=action.now)
    if edition.content_hash != form.content_hash.data:
        raise Conflict(DIGEST_CHANGED)
    terms = services().manual_send_terms
    send = plan_manual_send(session, edition, terms, at=action.now, now=action.now)
    detail = {"list": slug, "slot": str(edition.slot)}
    action.audit("digest_made_again", "send", send.id, **detail)
    action.wake("start_deliveries")
    return action.done("", url_for("admin_sends.show", send_id=send.id))


def _find_todays_edition(
    session: Session, mailing_list: MailingList, now: datetime
) -> tuple[Edition | None, Send | None]:
    """The digest that the list sent, or is sending, today, with its send."""
    edition = find_digest(session, mailing_list, slot_at(now, mailing_list.zone).day)
    if edition is None or edition.state is not EditionState.FROZEN:
        return None, None
    return edition, session.scalar(select(Send).where(Send.edition_id == edition.id))
