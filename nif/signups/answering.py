"""Answering what was asked for at the doors: by mail, and by the worker alone.

Nothing that a stranger typed stands in any of these mails, but for the address that they go to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.accounts.models import Account, RoleName
from nif.database import Transaction
from nif.links import Links
from nif.mail.message import Message
from nif.mail.posting import write_letter
from nif.mail.rendering import Stationery
from nif.signups import holding, watching
from nif.signups.models import Door, SignUp, Why
from nif.subscriptions.addresses import Address
from nif.subscriptions.budgeting import DAY, may_mail
from nif.subscriptions.consenting import Circumstances
from nif.subscriptions.declining import not_me_token
from nif.subscriptions.joining import Asked, Over, ask_to_join, confirmation_token
from nif.subscriptions.leaving import EVERY_LIST, unsubscribe_token, way_out
from nif.subscriptions.models import MailingList, Subscriber
from nif.subscriptions.preferring import find_reader, preferences_token
from nif.tokens import Tokens

Clock = Callable[[], datetime]
AFTER_TROUBLE = timedelta(minutes=5)


@dataclass(frozen=True)
class Pen:
    """What mails to readers are written with."""

    stationery: Stationery
    links: Links
    tokens: Tokens


def answer_all(transaction: Transaction, pen: Pen, *, clock: Clock, most: int = 200) -> int:
    """Answer what is due, each in a transaction of its own; returns how many there were.

    Raises what goes wrong; that one is then due again in five minutes, and the others come first.
    """
    for count in range(most):
        with transaction() as session:
            sign_up = _claim(session, clock())
            if sign_up is None:
                return count
            sign_up.next_at = clock() + AFTER_TROUBLE
        with transaction() as session:
            # Twice at once there is nothing to answer for the second.
            found = session.get(SignUp, sign_up.id, with_for_update=True)
            if found is not None and found.why is None:
                answer(session, found, pen, now=clock())
    return most


def answer(session: Session, sign_up: SignUp, pen: Pen, *, now: datetime) -> None:
    """Write the mail that a sign-up calls for, if any; or wait, or hold it."""
    over = (_join if sign_up.door is Door.JOIN else _send_link)(session, sign_up, pen, now)
    if over is Over.DAY:
        sign_up.next_at = now + DAY
    elif over is Over.MONTH:
        holding.hold(session, sign_up, Why.ADDRESS, now=now)
    else:
        session.delete(sign_up)


def tell_admins(session: Session, pen: Pen, why: str, *, now: datetime) -> None:
    """Mail every admin that the doors ask for proof since now."""
    admins = select(Account).where(
        Account.role == RoleName.ADMIN, Account.active, Account.password.is_not(None)
    )
    message = pen.stationery.write("attack", why=why, link=pen.links.page("/admin/sign-ups"))
    for account in session.scalars(admins):
        write_letter(session, account.email, message, now=now)


def watch(session: Session, pen: Pen, *, now: datetime) -> bool:
    """Switch the attack mode as sign-ups are, and tell of it once; True where it went on."""
    has_begun = watching.look(session, now=now)
    mode = watching.find_mode(session)
    if has_begun and mode is not None:
        tell_admins(session, pen, mode.why, now=now)
    return has_begun


def _claim(session: Session, now: datetime) -> SignUp | None:
    return session.scalar(
        select(SignUp)
        .where(SignUp.why.is_(None), SignUp.next_at <= now)
        .order_by(SignUp.next_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _join(session: Session, sign_up: SignUp, pen: Pen, now: datetime) -> Over | None:
    mailing_list = session.get(MailingList, sign_up.list_id)
    if mailing_list is None:
        return None
    asked = ask_to_join(
        session,
        mailing_list,
        Address(sign_up.address, sign_up.canonical),
        Circumstances(sign_up.source, sign_up.network, sign_up.words),
        now=now,
        let_through=sign_up.let_through,
    )
    if message := _reply(asked, mailing_list, pen):
        write_letter(session, sign_up.address, message, now=now)
    return asked.over


def _send_link(session: Session, sign_up: SignUp, pen: Pen, now: datetime) -> Over | None:
    reader = find_reader(session, Address(sign_up.address, sign_up.canonical))
    if reader is None:
        return None
    if not may_mail(session, reader.canonical, now=now):
        return Over.DAY
    write_letter(session, reader.address, _own_page(reader, pen), now=now)
    return None


def _reply(asked: Asked, mailing_list: MailingList, pen: Pen) -> Message | None:
    """The one mail that a wish to join calls for, if any."""
    if asked.pending is not None:
        token = confirmation_token(asked.pending, pen.tokens)
        name, link, reader = "confirm", pen.links.confirm(token), asked.pending.subscriber_id
    elif asked.known is not None:
        token = preferences_token(asked.known.id, pen.tokens)
        name, link, reader = "already_subscribed", pen.links.preferences(token), asked.known.id
    else:
        return None
    leave = pen.links.unsubscribe(unsubscribe_token(reader, mailing_list.id, pen.tokens))
    return pen.stationery.write(
        name,
        headers=way_out(leave),
        sender=mailing_list.sender_name,
        language=mailing_list.language,
        link=link,
        unsubscribe=leave,
        not_me=pen.links.not_me(not_me_token(reader, pen.tokens)),
        mailing_list=mailing_list,
    )


def _own_page(reader: Subscriber, pen: Pen) -> Message:
    leave = pen.links.unsubscribe(unsubscribe_token(reader.id, EVERY_LIST, pen.tokens))
    return pen.stationery.write(
        "preferences",
        headers=way_out(leave),
        link=pen.links.preferences(preferences_token(reader.id, pen.tokens)),
        unsubscribe=leave,
    )
