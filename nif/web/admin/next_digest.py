"""The next digest of a list: preview, test copy, and sending it now."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import record_audit_entry
from nif.clock import utc_now
from nif.editions.digest import ComposedDigest, compose_digest, make_digest_now, next_slot_of_list
from nif.editions.messages import build_test_message, hash_message, preview_message_for
from nif.editions.models import DIGEST_OCCASION, Edition, EditionState
from nif.editions.schedule import Slot
from nif.errors import Conflict, NotFound
from nif.mail.transactional import queue_transactional_email
from nif.sends.models import Send
from nif.sends.planning import NO_SUBSCRIBERS, plan_manual_send
from nif.subscriptions.lists import get_list
from nif.subscriptions.models import MailingList
from nif.subscriptions.tag_choices import has_tag_choices
from nif.web.access import Access, open_to
from nif.web.admin import send_status
from nif.web.current import links, reading, services, transaction
from nif.web.security import framed_mail_response

blueprint = Blueprint("next_digest", __name__, url_prefix="/lists/<slug>")

ALREADY_SENT = "This list already has today's edition, shown here. Nothing more was sent."


class DigestChanged(Conflict):
    """The digest has changed since it was shown for confirmation."""


@dataclass(frozen=True)
class SendNowPreview:
    """What would be sent now.

    `todays_edition` and `todays_send` are set if the list has had its digest of today.
    `content_hash` identifies the digest that was shown, so that nothing else is sent.
    """

    mailing_list: MailingList
    digest: ComposedDigest
    content_hash: str
    todays_edition: Edition | None
    todays_send: Send | None
    slot_today: str | None


@blueprint.get("/preview")
@open_to(Access.ADMIN)
def show(slug: str) -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        mailing_list = get_list(session, slug)
        message = _compose_next(session, mailing_list, now).message
        return render_template(
            "admin/next_digest/show.html",
            mailing_list=mailing_list,
            next_slot=next_slot_of_list(mailing_list, now=now),
            message=message and preview_message_for(message, current_user.email, links()),
            to=current_user.email,
        )


@blueprint.get("/preview/body")
@open_to(Access.ADMIN)
def body(slug: str) -> ResponseReturnValue:
    with reading() as session:
        message = _compose_next(session, get_list(session, slug), utc_now()).message
    if message is None:
        raise NotFound("There are no new stories for this list.")
    return framed_mail_response(preview_message_for(message, current_user.email, links()).html)


@blueprint.post("/preview/test")
@open_to(Access.ADMIN)
def send_test(slug: str) -> ResponseReturnValue:
    to, now = current_user.email, utc_now()
    with transaction() as session:
        message = _compose_next(session, get_list(session, slug), now).message
        if message is not None:
            queue_transactional_email(
                session, to, build_test_message(message, to, links()), now=now
            )
            record_audit_entry(session, current_user, "digest_tested", "list", slug, now=now)
    if message is None:
        flash("There are no new stories, so no copy was sent.")
    else:
        services().queue.wake("send_transactional_emails")
        flash(f"A test copy is on its way to {to}.", "good")
    return redirect(url_for(".show", slug=slug), 303)


@blueprint.get("/send")
@open_to(Access.ADMIN)
def confirm_send(slug: str) -> ResponseReturnValue:
    return _render_confirm_send(slug)


@blueprint.post("/send")
@open_to(Access.ADMIN)
def send_now(slug: str) -> ResponseReturnValue:
    try:
        send_id = _freeze_and_plan(slug, request.form.get("content_hash", ""), utc_now())
    except DigestChanged:
        return _render_confirm_send(slug, changed=True), 409
    except Conflict as error:
        return _redirect_to_existing(slug, error)
    services().queue.wake("start_deliveries")
    return redirect(url_for("admin_sends.show", send_id=send_id), 303)


def _compose_next(session: Session, mailing_list: MailingList, now: datetime) -> ComposedDigest:
    if mailing_list.archived_at is not None:
        return ComposedDigest([], None)
    return compose_digest(
        session,
        mailing_list,
        next_slot_of_list(mailing_list, now=now),
        services().mail_writer,
        now=now,
    )


def _preview_send(session: Session, mailing_list: MailingList, now: datetime) -> SendNowPreview:
    edition = _find_todays_edition(session, mailing_list, now)
    today = now.astimezone(ZoneInfo(mailing_list.zone)).date()
    slot, mail_writer = Slot(today, now), services().mail_writer
    is_over = edition or mailing_list.archived_at is not None
    digest = (
        ComposedDigest([], None)
        if is_over
        else compose_digest(session, mailing_list, slot, mail_writer, now=now)
    )
    next_slot = next_slot_of_list(mailing_list, now=now)
    return SendNowPreview(
        mailing_list=mailing_list,
        digest=digest,
        content_hash=hash_message(digest.message) if digest.message else "",
        todays_edition=edition,
        todays_send=_find_send(session, edition),
        slot_today=send_status.format_clock_time(next_slot.due_at, mailing_list.zone)[:5]
        if next_slot.day == today
        else None,
    )


def _find_todays_edition(
    session: Session, mailing_list: MailingList, now: datetime
) -> Edition | None:
    """The digest that the list sent, or is sending, today."""
    return session.scalar(
        select(Edition).where(
            Edition.list_id == mailing_list.id,
            Edition.occasion == DIGEST_OCCASION,
            Edition.slot == now.astimezone(ZoneInfo(mailing_list.zone)).date(),
            Edition.state == EditionState.FROZEN,
        )
    )


def _find_send(session: Session, edition: Edition | None) -> Send | None:
    if edition is None:
        return None
    return session.scalar(select(Send).where(Send.edition_id == edition.id))


def _freeze_and_plan(slug: str, shown_hash: str, now: datetime) -> int:
    """Freeze today's edition and plan its send; returns the id of the send.

    Raises DigestChanged, or Conflict if the list has had its edition or nobody would get it. Then
    nothing is stored.
    """
    with transaction() as session:
        edition = make_digest_now(session, get_list(session, slug), services().mail_writer, now=now)
        if edition.content_hash != shown_hash:
            raise DigestChanged
        send = plan_manual_send(session, edition, services().manual_send_terms, at=now, now=now)
        detail = {"list": slug}
        record_audit_entry(
            session, current_user, "send_started", "send", send.id, detail=detail, now=now
        )
        return send.id


def _redirect_to_existing(slug: str, error: Conflict) -> ResponseReturnValue:
    """Redirect a repeated request to the send that the first one started."""
    with reading() as session:
        send = _find_send(
            session, _find_todays_edition(session, get_list(session, slug), utc_now())
        )
    if send is not None:
        flash(ALREADY_SENT)
        return redirect(url_for("admin_sends.show", send_id=send.id), 303)
    flash(f"{error} Nothing was changed.")
    return redirect(url_for("admin_lists.show", slug=slug), 303)


def _render_confirm_send(slug: str, *, changed: bool = False) -> str:
    with reading() as session:
        preview = _preview_send(session, get_list(session, slug), utc_now())
        return render_template(
            "admin/next_digest/confirm_send.html",
            preview=preview,
            mailing_list=preview.mailing_list,
            undo=services().manual_send_terms.undo_period,
            no_subscribers_message=NO_SUBSCRIBERS,
            has_tag_choices=has_tag_choices(session, preview.mailing_list.id),
            changed=changed,
        )
