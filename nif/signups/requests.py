"""Taking in what is asked for at a door: the same work whoever the address belongs to.

Nothing here looks at who is subscribed or suppressed. The worker does, a moment later, so that
neither the answer nor its time tells anybody who reads us.

Answering what was asked for at the doors: by mail, and by the worker alone.

Nothing that a stranger typed stands in any of these mails, but for the address that they go to.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from disposable_email_domains import blocklist
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.clock import Clock
from nif.database import Transaction, conflict_aware_insert
from nif.mail.message import MailWriter, Message
from nif.mail.transactional import queue_transactional_email
from nif.signups import attack_mode, held
from nif.signups.models import NO_LIST, HoldReason, Signup, SignupKind
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.double_opt_in import (
    AddressMailLimit,
    SubscriptionRequestResult,
    confirmation_token,
    request_subscription,
)
from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.models import MailingList, Subscriber
from nif.subscriptions.preferences import find_mailable_subscriber, preferences_token
from nif.subscriptions.signup_limits import DAY, allow_mail, find_exceeded_limit
from nif.subscriptions.unsubscribe import (
    ALL_LISTS,
    list_unsubscribe_headers,
    signup_refusal_token,
    unsubscribe_token,
)

TRICKLE_AFTER = timedelta(minutes=5)


@dataclass(frozen=True)
class SignupRequest:
    """What somebody asked for. `odd` is what the form itself gave away, if anything."""

    door: SignupKind
    address: EmailAddress
    where: ConsentContext
    list_id: int = NO_LIST
    odd: HoldReason | None = None


def queue_signup(session: Session, wish: SignupRequest, *, now: datetime) -> None:
    """Lay a wish into the tray, for the worker to answer or for a person to look at."""
    why = wish.odd or _find_hold_reason(session, wish, now)
    attack_mode.count_signup(session, held=why is not None, now=now)
    known = session.scalar(
        select(Signup)
        .where(
            Signup.door == wish.door,
            Signup.canonical == wish.address.canonical,
            Signup.list_id == wish.list_id,
        )
        .with_for_update()
    )
    if known is None:
        _insert_signup(session, wish, why, now)
        return
    known.times += 1
    if why is None:
        held.release_signup(session, known, now=now)


def is_disposable_address(canonical: str) -> bool:
    """Is this an address of a service for throwing addresses away, or below one of its domains?"""
    labels = canonical.rpartition("@")[2].split(".")
    return any(".".join(labels[n:]) in blocklist for n in range(len(labels) - 1))


def _find_hold_reason(session: Session, wish: SignupRequest, now: datetime) -> HoldReason | None:
    if is_disposable_address(wish.address.canonical):
        return HoldReason.DISPOSABLE
    excess = find_exceeded_limit(session, wish.address.canonical, wish.where.network, now=now)
    return HoldReason(excess.value) if excess else None


def _insert_signup(
    session: Session, wish: SignupRequest, why: HoldReason | None, now: datetime
) -> None:
    if why is not None and not held.reserve_held_place(session, why, wish.where.network, now=now):
        return
    next_at = now if why is None else now + TRICKLE_AFTER if why in held.TRICKLED_REASONS else None
    session.execute(
        conflict_aware_insert(session, Signup)
        .values(
            door=wish.door,
            address=wish.address.written,
            canonical=wish.address.canonical,
            list_id=wish.list_id,
            source=wish.where.source[:300],
            network=wish.where.network,
            words=wish.where.wording,
            asked_at=now,
            times=1,
            why=why,
            next_at=next_at,
            let_through=False,
        )
        .on_conflict_do_nothing()
    )


RETRY_AFTER = timedelta(minutes=5)


def process_signups(
    transaction: Transaction, mail_writer: MailWriter, *, clock: Clock, most: int = 200
) -> int:
    """Answer what is due, each in a transaction of its own; returns how many there were.

    Raises what goes wrong; that one is then due again in five minutes, and the others come first.
    """
    for count in range(most):
        with transaction() as session:
            sign_up = _claim_signup(session, clock())
            if sign_up is None:
                return count
            sign_up.next_at = clock() + RETRY_AFTER
        with transaction() as session:
            # Twice at once there is nothing to answer for the second.
            found = session.get(Signup, sign_up.id, with_for_update=True)
            if found is not None and found.why is None:
                process_signup(session, found, mail_writer, now=clock())
    return most


def process_signup(
    session: Session, sign_up: Signup, mail_writer: MailWriter, *, now: datetime
) -> None:
    """Write the mail that a sign-up calls for, if any; or wait, or hold it."""
    over = (_request_subscription if sign_up.door is SignupKind.JOIN else _send_preferences_link)(
        session, sign_up, mail_writer, now
    )
    if over is AddressMailLimit.DAY:
        sign_up.next_at = now + DAY
    elif over is AddressMailLimit.MONTH:
        held.hold_signup(session, sign_up, HoldReason.ADDRESS, now=now)
    else:
        session.delete(sign_up)


def notify_admins_of_attack(
    session: Session, mail_writer: MailWriter, why: str, *, now: datetime
) -> None:
    """Mail every admin that the doors ask for proof since now."""
    admins = select(Account).where(
        Account.role == RoleName.ADMIN, Account.active, Account.password.is_not(None)
    )
    message = mail_writer.renderer.render(
        "attack", why=why, link=mail_writer.links.page("/admin/sign-ups")
    )
    for account in session.scalars(admins):
        queue_transactional_email(session, account.email, message, now=now)


def watch_for_attack(session: Session, mail_writer: MailWriter, *, now: datetime) -> bool:
    """Switch the attack mode as sign-ups are, and tell of it once; True where it went on."""
    has_begun = attack_mode.update_attack_mode(session, now=now)
    mode = attack_mode.find_attack_mode(session)
    if has_begun and mode is not None:
        notify_admins_of_attack(session, mail_writer, mode.why, now=now)
    return has_begun


def _claim_signup(session: Session, now: datetime) -> Signup | None:
    return session.scalar(
        select(Signup)
        .where(Signup.why.is_(None), Signup.next_at <= now)
        .order_by(Signup.next_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _request_subscription(
    session: Session, sign_up: Signup, mail_writer: MailWriter, now: datetime
) -> AddressMailLimit | None:
    mailing_list = session.get(MailingList, sign_up.list_id)
    if mailing_list is None:
        return None
    asked = request_subscription(
        session,
        mailing_list,
        EmailAddress(sign_up.address, sign_up.canonical),
        ConsentContext(sign_up.source, sign_up.network, sign_up.words),
        now=now,
        let_through=sign_up.let_through,
    )
    if message := _subscription_reply(asked, mailing_list, mail_writer):
        queue_transactional_email(session, sign_up.address, message, now=now)
    return asked.over


def _send_preferences_link(
    session: Session, sign_up: Signup, mail_writer: MailWriter, now: datetime
) -> AddressMailLimit | None:
    reader = find_mailable_subscriber(session, EmailAddress(sign_up.address, sign_up.canonical))
    if reader is None:
        return None
    if not allow_mail(session, reader.canonical, now=now):
        return AddressMailLimit.DAY
    queue_transactional_email(
        session, reader.address, _preferences_message(reader, mail_writer), now=now
    )
    return None


def _subscription_reply(
    asked: SubscriptionRequestResult, mailing_list: MailingList, mail_writer: MailWriter
) -> Message | None:
    """The one mail that a wish to join calls for, if any."""
    if asked.pending is not None:
        token = confirmation_token(asked.pending, mail_writer.tokens)
        name, link, reader = (
            "confirm",
            mail_writer.links.confirm(token),
            asked.pending.subscriber_id,
        )
    elif asked.known is not None:
        token = preferences_token(asked.known.id, mail_writer.tokens)
        name, link, reader = (
            "already_subscribed",
            mail_writer.links.preferences(token),
            asked.known.id,
        )
    else:
        return None
    leave = mail_writer.links.unsubscribe(
        unsubscribe_token(reader, mailing_list.id, mail_writer.tokens)
    )
    return mail_writer.renderer.render(
        name,
        headers=list_unsubscribe_headers(leave),
        sender=mailing_list.sender_name,
        language=mailing_list.language,
        link=link,
        unsubscribe=leave,
        not_me=mail_writer.links.not_me(signup_refusal_token(reader, mail_writer.tokens)),
        mailing_list=mailing_list,
    )


def _preferences_message(reader: Subscriber, mail_writer: MailWriter) -> Message:
    leave = mail_writer.links.unsubscribe(
        unsubscribe_token(reader.id, ALL_LISTS, mail_writer.tokens)
    )
    return mail_writer.renderer.render(
        "preferences",
        headers=list_unsubscribe_headers(leave),
        link=mail_writer.links.preferences(preferences_token(reader.id, mail_writer.tokens)),
        unsubscribe=leave,
    )
