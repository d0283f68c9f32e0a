"""How long each kind of data is kept, and letting go what has had its time: in batches, at night.

Every batch is a transaction of its own, and what is due is asked of the database each time: a run
that is broken off goes on where it was with the next one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from nif import limits
from nif.database import Transaction, insert_into
from nif.mail.posting import Letter
from nif.rights import lapsing
from nif.sends import chores
from nif.sends.events import Event, EventPost
from nif.signups import holding
from nif.signups.models import SignUp
from nif.subscriptions import moving
from nif.subscriptions.models import AddressChange, Consent, Lapse, Subscription

CHORE = "retention"
EVERY = timedelta(hours=24)
KEEP_TALLIES = timedelta(days=31)
KEEP_LETTERS = timedelta(days=30)


@dataclass(frozen=True)
class Times:
    """How long is kept what the settings decide about."""

    unconfirmed: timedelta = timedelta(days=30)
    events: timedelta = timedelta(days=395)
    networks: timedelta = timedelta(days=730)


@dataclass(frozen=True)
class Rule:
    """What is kept for `time`, and what happens `then`.

    `due` counts what is older than a moment; `let_go` deals with a batch of it and says how many,
    0 where there is none.
    """

    name: str
    what: str
    time: timedelta
    then: str
    due: Callable[[Session, datetime], int]
    let_go: Callable[[Session, datetime], int]


def run(transaction: Transaction, times: Times, *, now: datetime) -> dict[str, int]:
    """Let go all that has had its time; returns how many of each kind."""
    gone = {}
    for rule in rules(times):
        gone[rule.name] = 0
        while count := _one_batch(transaction, rule, now):
            gone[rule.name] += count
    return gone


def run_if_due(transaction: Transaction, times: Times, *, now: datetime) -> dict[str, int] | None:
    """The same once a day, whichever worker comes first; None where it is not time."""
    with transaction() as session:
        if not chores.begin(session, CHORE, every=EVERY, now=now):
            return None
    gone = run(transaction, times, now=now)
    with transaction() as session:
        chores.note(session, CHORE, None, now=now)
    return gone


def due(session: Session, times: Times, *, now: datetime) -> dict[str, int]:
    """How many of each kind a run would let go now."""
    return {rule.name: rule.due(session, now - rule.time) for rule in rules(times)}


def _one_batch(transaction: Transaction, rule: Rule, now: datetime) -> int:
    """What is gone is counted, by kind and day, in the same transaction."""
    with transaction() as session:
        count = rule.let_go(session, now - rule.time)
        if count:
            session.execute(
                insert_into(session, Lapse)
                .values(kind=rule.name, day=now.date(), count=count)
                .on_conflict_do_update(
                    index_elements=[Lapse.kind, Lapse.day], set_={"count": Lapse.count + count}
                )
            )
    return count


def rules(times: Times) -> tuple[Rule, ...]:
    """The catalogue. docs/operators/privacy.md has it as a table, and a test compares the two."""
    return (
        Rule(
            name="unconfirmed",
            what="Wishes to subscribe that were never confirmed",
            time=times.unconfirmed,
            then="deleted with their record, and the address where nothing else is known of it",
            due=lapsing.count_of(Subscription, lapsing.pending_before),
            let_go=lapsing.let_unconfirmed_go,
        ),
        Rule(
            name="address_changes",
            what="Changes of address that were not confirmed",
            time=moving.CONFIRM_WITHIN,
            then="deleted",
            due=lapsing.count_of(AddressChange, lapsing.changes_before),
            let_go=lapsing.deletion_of(AddressChange, lapsing.changes_before),
        ),
        Rule(
            name="held_sign_ups",
            what="Sign-ups that were held, and that nobody decided about",
            time=holding.KEEP,
            then="deleted",
            due=lapsing.count_of(SignUp, lapsing.held_before),
            let_go=holding.expire,
        ),
        Rule(
            name="letters",
            what="The trace of single mails that somebody asked for",
            time=KEEP_LETTERS,
            then="deleted",
            due=lapsing.count_of(Letter, lapsing.letters_before),
            let_go=lapsing.forget_letters,
        ),
        Rule(
            name="tallies",
            what="Hashed counts of who asked for what",
            time=KEEP_TALLIES,
            then="deleted",
            due=lapsing.count_of(limits.Tally, lapsing.tallies_before),
            let_go=lapsing.forget_tallies,
        ),
        Rule(
            name="events",
            what="What the provider reported about single mails",
            time=times.events,
            then="deleted; the counts of a send stay",
            due=lapsing.count_of(Event, lapsing.events_before),
            let_go=lapsing.let_events_go,
        ),
        Rule(
            name="event_posts",
            what="Reports of the provider that could not be read",
            time=times.events,
            then="deleted",
            due=lapsing.count_of(EventPost, lapsing.posts_before),
            let_go=lapsing.deletion_of(EventPost, lapsing.posts_before),
        ),
        Rule(
            name="networks",
            what="The networks in the record of consent",
            time=times.networks,
            then="shortened: to a /16 of IPv4, to a /32 of IPv6",
            due=lapsing.count_of(Consent, lapsing.networks_before),
            let_go=lapsing.shorten_networks,
        ),
    )
