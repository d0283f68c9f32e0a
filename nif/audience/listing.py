"""Looking through the house's list of whom it mails no more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, literal, select, tuple_
from sqlalchemy.orm import Session

from nif.audience.acting import may_lift
from nif.database import UtcDateTime
from nif.errors import Invalid, NotFound
from nif.subscriptions.models import (
    NOT_ERASED,
    Subscriber,
    Suppression,
    SuppressionReason,
)
from nif.subscriptions.relaying import came_from_provider
from nif.subscriptions.relays import Relay

PAGE = 50
SHORTEST = 3
LONGEST = 300
LAST = "\x7f"
"""It sorts behind all that can stand in an address."""

SHOWN = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.BOUNCED,
    SuppressionReason.INVALID,
    SuppressionReason.COMPLAINED,
)
"""The reasons that have addresses. Of who was erased there is none to show."""


class Known(StrEnum):
    """Does the provider know of a suppression?"""

    THEIRS = "theirs"
    TOLD = "told"
    WAITS = "waits"
    REFUSED = "refused"
    NOT_TOLD = "not_told"


@dataclass(frozen=True)
class Sought:
    """Which suppressions to show: those for a reason, of addresses that begin like this."""

    reason: SuppressionReason | None = None
    beginning: str = ""


@dataclass(frozen=True)
class Barred:
    """One suppression, the number of who reads there where that is a subscriber, and the provider.

    `told_at` is when the provider was told, where it was.
    """

    suppression: Suppression
    subscriber_id: int | None
    known: Known
    told_at: datetime | None

    @property
    def may_lift(self) -> bool:
        return may_lift(self.suppression)


@dataclass(frozen=True)
class Page:
    """Some suppressions, newest first, and the place that the next page begins after."""

    rows: Sequence[Barred]
    after: str | None


def sought(reason: str, beginning: str) -> Sought:
    """What to look for, as typed. Raises Invalid."""
    problems = {}
    if reason not in {"", *SHOWN}:
        problems["reason"] = "Choose one of the reasons."
    beginning = beginning.strip().lower()
    if beginning and len(beginning) < SHORTEST:
        problems["begins"] = f"Type at least {SHORTEST} characters of the beginning."
    if len(beginning) > LONGEST or not (beginning.isascii() and beginning.isprintable()):
        problems["begins"] = "No address begins like this: they have plain characters only."
    if problems:
        raise Invalid(problems)
    return Sought(SuppressionReason(reason) if reason else None, beginning)


def page(session: Session, asked: Sought, *, after: str | None = None, most: int = PAGE) -> Page:
    """A page of the list, newest first. Raises NotFound for a place that cannot be."""
    query = _query(session, asked)
    if after is not None:
        here = tuple_(Suppression.at, Suppression.canonical)
        at, canonical = _read(after)
        query = query.where(here < tuple_(literal(at, UtcDateTime), literal(canonical)))
    found = session.scalars(query.limit(most + 1)).all()
    shown = found[:most]
    further = _written(shown[-1]) if len(found) > most else None
    return Page(_described(session, shown), further)


def everything(session: Session, asked: Sought, *, at_once: int = 1000) -> Iterator[Barred]:
    """All that is sought, newest first, read as it is asked for."""
    after: str | None = None
    while True:
        some = page(session, asked, after=after, most=at_once)
        yield from some.rows
        after = some.after
        if after is None:
            return


def _query(session: Session, asked: Sought) -> Select[Suppression]:
    query = select(Suppression)
    if asked.reason is None:
        query = query.where(NOT_ERASED)
    else:
        query = query.where(Suppression.reason == asked.reason)
    if asked.beginning:
        query = query.where(NOT_ERASED, *_begins(session, asked.beginning))
    return query.order_by(Suppression.at.desc(), Suppression.canonical.desc())


def _begins(session: Session, beginning: str) -> tuple[ColumnElement[bool], ...]:
    """Between the beginning and all that can follow it, by characters and no language's order."""
    address = Suppression.canonical
    if session.get_bind().dialect.name == "sqlite":
        return address >= beginning, address < beginning + LAST
    return address.bool_op("~>=~")(beginning), address.bool_op("~<~")(beginning + LAST)


def _described(session: Session, found: Sequence[Suppression]) -> list[Barred]:
    names = [one.canonical for one in found]
    who = select(Subscriber.canonical, Subscriber.id).where(Subscriber.canonical.in_(names))
    people = {row[0]: row[1] for row in session.execute(who)}
    relays = session.scalars(select(Relay).where(Relay.canonical.in_(names)))
    by_name = {one.canonical: one for one in relays}
    return [_barred(one, people, by_name) for one in found]


def _barred(one: Suppression, people: Mapping[str, int], relays: Mapping[str, Relay]) -> Barred:
    relay = relays.get(one.canonical)
    known, told_at = Known.NOT_TOLD, None
    if came_from_provider(one.source):
        known = Known.THEIRS
    elif relay is not None and relay.suppressed:
        if relay.next_try_at is not None:
            known = Known.WAITS
        elif relay.refused:
            known = Known.REFUSED
        else:
            known, told_at = Known.TOLD, relay.told_at
    return Barred(one, people.get(one.canonical), known, told_at)


def _written(one: Suppression) -> str:
    return f"{one.at.isoformat()}~{one.canonical}"


def _read(after: str) -> tuple[datetime, str]:
    """Raises NotFound."""
    moment, _, canonical = after.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        raise NotFound("There is no such page.") from None
    if at.tzinfo is None or not 1970 <= at.year < 9999 or "\0" in canonical:
        raise NotFound("There is no such page.")
    return at, canonical
