"""Telling the provider whom the house mails no more, and whom it mails again.

Without it, mail that leaves the account by another way would reach those people; and without taking
back what was told, the provider would drop in silence the mail of readers who have come back.
Nothing of a send waits for any of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from nif.database import Transaction
from nif.mail.mailer import Locked, Mailer, NotTaken, Refused, Unavailable, Uncertain
from nif.sends import chores
from nif.subscriptions import relaying, tallying
from nif.subscriptions.relaying import Load

CHORE = "telling suppressions"
EVERY = timedelta(seconds=30)
REQUESTS = 20
"""In one go: most of SendGrid's endpoints take 600 a minute, and others want some too."""

WAIT = timedelta(minutes=1)
LOCKED_WAIT = timedelta(minutes=15)

Clock = Callable[[], datetime]


@dataclass
class Told:
    """How many addresses the provider has put on its list, taken off it, and will not take."""

    put_on: int = 0
    taken_off: int = 0
    refused: int = 0


def tell_if_due(transaction: Transaction, mailer: Mailer, *, clock: Clock) -> Told | None:
    """Tell what is due, whichever worker comes first; None where it is not time.

    What keeps the provider from hearing it is written down, and tried again by itself.
    """
    with transaction() as session:
        if not chores.begin(session, CHORE, every=EVERY, now=clock()):
            return None
        tallying.add_up(session)
        relaying.let_go(session, now=clock())
    if not mailer.keeps_lists:
        return None
    try:
        return tell(transaction, mailer, clock=clock)
    except (NotTaken, Uncertain):
        return None


def tell(transaction: Transaction, mailer: Mailer, *, clock: Clock, most: int = REQUESTS) -> Told:
    """Tell what is due in at most so many requests. What was told twice does no harm.

    A worker that dies on the way leaves its addresses to the next one, once their lease is over.

    Raises NotTaken or Uncertain where the provider does not take it, which is also written down.
    """
    told = Told()
    if not mailer.keeps_lists:
        return told
    with transaction() as session:
        chores.begin(session, CHORE, every=timedelta(0), now=clock())
    for _ in range(most):
        with transaction() as session:
            load = relaying.claim(session, now=clock())
        if load is None:
            break
        _hand_over(transaction, mailer, load, told, clock)
    with transaction() as session:
        chores.note(session, CHORE, None, now=clock())
    return told


def _hand_over(
    transaction: Transaction, mailer: Mailer, load: Load, told: Told, clock: Clock
) -> None:
    try:
        if load.suppressed:
            mailer.block(load.canonicals)
        else:
            mailer.unblock(load.canonicals[0])
    except Refused as error:
        with transaction() as session:
            relaying.refuse(session, load, str(error), now=clock())
        told.refused += len(load.canonicals) == 1
    except (NotTaken, Uncertain) as error:
        _wait(transaction, load, error, clock())
        raise
    else:
        with transaction() as session:
            relaying.settle(session, load, now=clock())
        if load.suppressed:
            told.put_on += len(load.canonicals)
        else:
            told.taken_off += 1


def _wait(transaction: Transaction, load: Load, error: NotTaken | Uncertain, now: datetime) -> None:
    """Everything waits as long as the provider asks for; what may be under way, a while longer."""
    pause = WAIT
    if isinstance(error, Locked):
        pause = LOCKED_WAIT
    elif isinstance(error, Unavailable) and error.wait is not None:
        pause = timedelta(seconds=error.wait)
    quiet = relaying.QUIET if isinstance(error, Uncertain) else timedelta(0)
    with transaction() as session:
        relaying.put_off(session, load, now + quiet)
        chores.put_off(session, CHORE, now + pause, every=EVERY, now=now)
        chores.note(session, CHORE, str(error), now=now)
