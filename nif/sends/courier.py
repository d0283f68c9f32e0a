"""What delivering takes: the ledger, the provider, what links are made of, and one send's share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from nif.database import Transaction
from nif.editions.models import Edition
from nif.links import Links
from nif.mail.mailer import Mailer
from nif.mail.message import Message
from nif.sends.asking import answers_to
from nif.sends.claiming import Terms
from nif.sends.copying import Copyist, copyist
from nif.sends.leasing import Heart
from nif.sends.models import Send
from nif.sends.pacing import NO_LIMITS, Limits
from nif.tokens import Tokens


@dataclass(frozen=True)
class Courier:
    """What it takes to deliver: the ledger, the provider, and what links are made of.

    Once `stopping` is set no batch is claimed any more; what is under way is settled. With
    `fence_ahead` each attempt waits so long at the provider, where it can be recalled.
    """

    transaction: Transaction
    mailer: Mailer
    tokens: Tokens
    links: Links
    clock: Callable[[], datetime]
    concurrency: int = 8
    lease: timedelta = timedelta(seconds=90)
    limits: Limits = NO_LIMITS
    fence_ahead: timedelta | None = None
    stopping: Event = field(default_factory=Event)


@dataclass(frozen=True)
class Load:
    """A send in a courier's hands: what all its batches have in common, and the lease on it."""

    send_id: int
    message: Message
    copies: Copyist
    heart: Heart
    terms: Terms


def take_on(courier: Courier, send_id: int, heart: Heart) -> Load:
    """Read once what all batches of a send have in common."""
    with courier.transaction() as session:
        send = session.get_one(Send, send_id)
        message = session.get_one(Edition, send.edition_id).as_message()
        copies = copyist(
            (send_id, send.list_id),
            courier.links,
            courier.tokens,
            answers_to(session, send, courier.links, courier.tokens),
        )
    terms = Terms(heart.lease_id, courier.lease, courier.limits)
    return Load(send_id, message, copies, heart, terms)
