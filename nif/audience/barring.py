"""The house's list of whom it mails no more: looking through it, adding to it by hand, lifting."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, literal, select, tuple_
from sqlalchemy.orm import Session

from nif.accounts.auditing import Doer, note
from nif.audience.acting import BY_HAND, may_lift, reason_by_hand
from nif.database import UtcDateTime
from nif.errors import Conflict, Invalid, NotFound
from nif.subscriptions import suppressing
from nif.subscriptions.addresses import read_address
from nif.subscriptions.forgetting import is_erased_many
from nif.subscriptions.models import NOT_ERASED, Subscriber, Suppression, SuppressionReason
from nif.subscriptions.relaying import came_from_provider
from nif.subscriptions.relays import Relay

PAGE = 50
SHORTEST = 3
LONGEST = 300
MOST = 10_000
"""Addresses that are added at once; for more there are imports."""

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

_IN_BRACKETS = re.compile(r"<([^<>]*)>")


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


@dataclass(frozen=True)
class Pasted:
    """What was pasted: the addresses in it, and what is none."""

    canonicals: frozenset[str]
    wrong: Sequence[str]


@dataclass(frozen=True)
class Added:
    """How many addresses are suppressed now that were not, and how many were already."""

    new: int
    there: int


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


def read_pasted(text: str) -> Pasted:
    """The addresses in a text: one a line, or with commas, semicolons or spaces between them.

    Raises Invalid where there is nothing, or too much.
    """
    parts = list(_parts(text))
    if not parts:
        raise Invalid({"addresses": "Give at least one address."})
    if len(parts) > MOST:
        raise Invalid({"addresses": f"At most {MOST:,} addresses at once; import a file of more."})
    canonicals, wrong = set(), []
    for part in parts:
        try:
            canonicals.add(read_address(part).canonical)
        except Invalid:
            wrong.append(part)
    return Pasted(frozenset(canonicals), wrong)


def add(
    session: Session, canonicals: Iterable[str], reason: str, *, by: Doer, now: datetime
) -> Added:
    """Never mail these addresses again, because of `reason`. What stands stays as it is.

    Who was erased counts as there already. Raises Invalid for a reason that is none.
    """
    source = f"{BY_HAND}{reason_by_hand(reason)}"
    wanted = set(canonicals)
    fresh = wanted - is_erased_many(session, wanted)
    reasons = dict.fromkeys(sorted(fresh), SuppressionReason.MANUAL)
    new = len(suppressing.add(session, reasons, source=source, now=now))
    added = Added(new, len(wanted) - new)
    _note(session, by, "suppressions_added", {"new": added.new, "there": added.there}, now)
    return added


def get_liftable(session: Session, canonical: str) -> Suppression:
    """A suppression that an admin made. Raises NotFound, and Conflict for any other."""
    found = session.get(Suppression, canonical, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound("This address is not suppressed.")
    if not may_lift(found):
        raise Conflict("Only a suppression that an admin made by hand can be lifted.")
    return found


def lift(session: Session, canonical: str, *, by: Doer, now: datetime) -> None:
    """Take back what an admin suppressed. Raises NotFound and Conflict as `get_liftable` does."""
    get_liftable(session, canonical)
    suppressing.end(session, Suppression.canonical == canonical, now=now)
    who = select(Subscriber.id).where(Subscriber.canonical == canonical)
    subscriber_id = session.scalar(who)
    if subscriber_id is None:
        _note(session, by, "address_lifted", None, now)
    else:
        subject = {"kind": "subscriber", "subject": subscriber_id}
        note(session, by, "suppression_lifted", **subject, now=now)  # type: ignore[arg-type]


def note_export(session: Session, *, by: Doer, now: datetime) -> None:
    """Write down that the list was taken out."""
    _note(session, by, "suppressions_exported", None, now)


def _note(
    session: Session, by: Doer, what: str, detail: dict[str, object] | None, now: datetime
) -> None:
    note(session, by, what, kind="suppression", subject="list", detail=detail, now=now)


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


def _parts(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in re.split(r"[,;\t]", line):
            bracketed = _IN_BRACKETS.search(part)
            yield from [bracketed[1]] if bracketed else part.split()


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
