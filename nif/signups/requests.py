"""Sign-up requests: the forms queue them, the worker answers them by mail.

Queueing takes the same work for every address: it does not look at who is subscribed or
suppressed. The worker does that a moment later. So neither the answer to a form nor its duration
tells a visitor who reads NIF.

The mails contain nothing that the visitor typed, except the address that they go to.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from disposable_email_domains import blocklist
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.claims import claim_next, lock_claimed_row
from nif.clock import Clock
from nif.database import Transaction, insert_if_new
from nif.limits import DAY, allow_mail, find_exceeded_limit
from nif.mail.addresses import EmailAddress
from nif.mail.message import MailWriter, Message
from nif.mail.transactional import queue_transactional_email
from nif.signups import attack_mode, held
from nif.signups.models import NO_LIST, HoldReason, Signup, SignupKind
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.lifecycle import (
    ALL_LISTS,
    AddressMailLimit,
    SubscriptionRequestResult,
    confirmation_token,
    list_unsubscribe_headers,
    request_subscription,
    unsubscribe_token,
)
from nif.subscriptions.models import MailingList
from nif.subscriptions.preferences import find_mailable_subscriber, preferences_token
from nif.tokens import TokenPurpose

TRICKLE_AFTER = timedelta(minutes=5)
RETRY_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class SignupRequest:
    """What a visitor asked for. `hold_reason` is what the form itself found suspicious, if
    anything."""

    kind: SignupKind
    address: EmailAddress
    context: ConsentContext
    list_id: int = NO_LIST
    hold_reason: HoldReason | None = None


def queue_signup(session: Session, request: SignupRequest, *, now: datetime) -> None:
    """Queue a request for the worker, or hold it for a person to decide.

    The same request again is counted on its row. It releases a held row where it is not suspicious
    itself.
    """
    hold_reason = request.hold_reason or _find_hold_reason(session, request, now)
    attack_mode.count_signup(session, held=hold_reason is not None, now=now)
    is_same = (
        Signup.kind == request.kind,
        Signup.canonical == request.address.canonical,
        Signup.list_id == request.list_id,
    )
    known = session.scalar(select(Signup).where(*is_same).with_for_update())
    if known is None:
        _insert_signup(session, request, hold_reason, now)
        return
    known.request_count += 1
    if hold_reason is None:
        held.release_signup(session, known, now=now)


def is_disposable_address(canonical: str) -> bool:
    """Is the domain of this address, or a domain above it, a disposable-mail service?"""
    labels = canonical.rpartition("@")[2].split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


def _find_hold_reason(session: Session, request: SignupRequest, now: datetime) -> HoldReason | None:
    canonical = request.address.canonical
    if is_disposable_address(canonical):
        return HoldReason.DISPOSABLE
    limit = find_exceeded_limit(session, canonical, request.context.network, now=now)
    return HoldReason(limit) if limit else None


def _insert_signup(
    session: Session, request: SignupRequest, hold_reason: HoldReason | None, now: datetime
) -> None:
    due_at: datetime | None = now
    if hold_reason is not None:
        if not held.reserve_held_place(session, hold_reason, request.context.network, now=now):
            return
        due_at = now + TRICKLE_AFTER if hold_reason in held.TRICKLED_REASONS else None
    insert_if_new(
        session,
        Signup,
        kind=request.kind,
        address=request.address.written,
        canonical=request.address.canonical,
        list_id=request.list_id,
        source=request.context.source[:300],
        network=request.context.network,
        wording=request.context.wording,
        requested_at=now,
        request_count=1,
        hold_reason=hold_reason,
        due_at=due_at,
        approved=False,
    )


def process_signups(
    transaction: Transaction, mail_writer: MailWriter, *, clock: Clock, most: int = 200
) -> int:
    """Process the sign-ups that are due, each in its own transaction; returns how many.

    An exception ends the run. The sign-up that caused it is due again in five minutes, and the
    others come first.
    """
    for count in range(most):
        with transaction() as session:
            is_queued = Signup.hold_reason.is_(None)
            claimed = claim_next(session, Signup, is_queued, lease=RETRY_AFTER, now=clock())
        if claimed is None:
            return count
        with transaction() as session:
            signup = lock_claimed_row(session, claimed)
            if signup is not None:
                process_signup(session, signup, mail_writer, now=clock())
    return most


def process_signup(
    session: Session, signup: Signup, mail_writer: MailWriter, *, now: datetime
) -> None:
    """Queue the mail that a sign-up calls for, if any; or postpone the sign-up, or hold it."""
    is_subscription = signup.kind is SignupKind.SUBSCRIBE
    answer = _request_subscription if is_subscription else _send_preferences_link
    exceeded = answer(session, signup, mail_writer, now)
    if exceeded is AddressMailLimit.DAY:
        signup.due_at = now + DAY
    elif exceeded is AddressMailLimit.MONTH:
        held.hold_signup(session, signup, HoldReason.ADDRESS, now=now)
    else:
        session.delete(signup)


def watch_for_attack(session: Session, mail_writer: MailWriter, *, now: datetime) -> bool:
    """Update the attack mode; True where it was switched on just now.

    Then every active admin is mailed that the forms ask for proof of work from now on.
    """
    mode = attack_mode.update_attack_mode(session, now=now)
    if mode is None:
        return False
    admins = select(Account).where(
        Account.role == RoleName.ADMIN, Account.active, Account.password.is_not(None)
    )
    link = mail_writer.links.path("/admin/sign-ups")
    message = mail_writer.renderer.render("attack_mode", reason=mode.reason, link=link)
    for account in session.scalars(admins):
        queue_transactional_email(session, account.email, message, now=now)
    return True


def _request_subscription(
    session: Session, signup: Signup, mail_writer: MailWriter, now: datetime
) -> AddressMailLimit | None:
    mailing_list = session.get(MailingList, signup.list_id)
    if mailing_list is None:
        return None
    result = request_subscription(
        session,
        mailing_list,
        EmailAddress(signup.address, signup.canonical),
        ConsentContext(signup.source, signup.network, signup.wording),
        now=now,
        approved=signup.approved,
    )
    if message := _subscription_reply(result, mailing_list, mail_writer):
        queue_transactional_email(session, signup.address, message, now=now)
    return result.exceeded


def _send_preferences_link(
    session: Session, signup: Signup, mail_writer: MailWriter, now: datetime
) -> AddressMailLimit | None:
    subscriber = find_mailable_subscriber(session, EmailAddress(signup.address, signup.canonical))
    if subscriber is None:
        return None
    if not allow_mail(session, subscriber.canonical, now=now):
        return AddressMailLimit.DAY
    links, tokens = mail_writer.links, mail_writer.tokens
    unsubscribe_link = links.unsubscribe(unsubscribe_token(subscriber.id, ALL_LISTS, tokens))
    message = mail_writer.renderer.render(
        "preferences_link",
        headers=list_unsubscribe_headers(unsubscribe_link),
        link=links.preferences(preferences_token(subscriber.id, tokens)),
        unsubscribe=unsubscribe_link,
    )
    queue_transactional_email(session, subscriber.address, message, now=now)
    return None


def _subscription_reply(
    result: SubscriptionRequestResult, mailing_list: MailingList, mail_writer: MailWriter
) -> Message | None:
    """The one mail that the result of a subscription request calls for, if any."""
    links, tokens = mail_writer.links, mail_writer.tokens
    if result.pending is not None:
        subscriber_id = result.pending.subscriber_id
        name = "confirm_subscription"
        link = links.confirm(confirmation_token(result.pending, tokens))
    elif result.already_subscribed is not None:
        subscriber_id = result.already_subscribed.id
        name = "already_subscribed"
        link = links.preferences(preferences_token(subscriber_id, tokens))
    else:
        return None
    unsubscribe_link = links.unsubscribe(unsubscribe_token(subscriber_id, mailing_list.id, tokens))
    return mail_writer.renderer.render(
        name,
        headers=list_unsubscribe_headers(unsubscribe_link),
        sender=mailing_list.sender_name,
        language=mailing_list.language,
        link=link,
        unsubscribe=unsubscribe_link,
        report_signup=links.report_signup(tokens.make(TokenPurpose.REPORT_SIGNUP, subscriber_id)),
        mailing_list=mailing_list,
    )
