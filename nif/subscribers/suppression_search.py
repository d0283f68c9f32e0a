"""Looking through the house's list of whom it mails no more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, literal, select, tuple_
from sqlalchemy.orm import Session

from nif.database import UtcDateTime
from nif.errors import Invalid, NotFound
from nif.subscribers.profile import may_lift_suppression
from nif.subscriptions.models import NOT_ERASED, Subscriber, Suppression, SuppressionReason
from nif.subscriptions.suppression_outbox import SuppressionOutboxEntry, came_from_provider

SUPPRESSIONS_PER_PAGE = 50
MIN_PREFIX_LENGTH = 3
MAX_PREFIX_LENGTH = 300
HIGHEST_CHARACTER = "\x7f"
"""It sorts behind all that can stand in an address."""

SHOWN_REASONS = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.BOUNCED,
    SuppressionReason.INVALID,
    SuppressionReason.COMPLAINED,
)
"""The reasons that have addresses. Of who was erased there is none to show."""


class ProviderSync(StrEnum):
    """Does the provider know of a suppression?"""

    THEIRS = "theirs"
    TOLD = "told"
    WAITS = "waits"
    REFUSED = "refused"
    NOT_TOLD = "not_told"


@dataclass(frozen=True)
class SuppressionFilter:
    """Which suppressions to show: those for a reason, of addresses that begin like this."""

    reason: SuppressionReason | None = None
    beginning: str = ""


@dataclass(frozen=True)
class ListedSuppression:
    """One suppression, the number of who reads there where that is a subscriber, and the provider.

    `told_at` is when the provider was told, where it was.
    """

    suppression: Suppression
    subscriber_id: int | None
    known: ProviderSync
    told_at: datetime | None

    @property
    def may_lift(self) -> bool:
        return may_lift_suppression(self.suppression)


@dataclass(frozen=True)
class SuppressionPage:
    """Some suppressions, newest first, and the place that the next page begins after."""

    rows: Sequence[ListedSuppression]
    after: str | None


def parse_suppression_filter(reason: str, beginning: str) -> SuppressionFilter:
    """What to look for, as typed. Raises Invalid."""
    problems = {}
    if reason not in {"", *SHOWN_REASONS}:
        problems["reason"] = "Choose one of the reasons."
    beginning = beginning.strip().lower()
    if beginning and len(beginning) < MIN_PREFIX_LENGTH:
        problems["begins"] = f"Type at least {MIN_PREFIX_LENGTH} characters of the beginning."
    if len(beginning) > MAX_PREFIX_LENGTH or not (beginning.isascii() and beginning.isprintable()):
        problems["begins"] = "No address begins like this: they have plain characters only."
    if problems:
        raise Invalid(problems)
    return SuppressionFilter(SuppressionReason(reason) if reason else None, beginning)


def search_suppressions(
    session: Session,
    asked: SuppressionFilter,
    *,
    after: str | None = None,
    most: int = SUPPRESSIONS_PER_PAGE,
) -> SuppressionPage:
    """A page of the list, newest first. Raises NotFound for a place that cannot be."""
    query = _select_suppressions(session, asked)
    if after is not None:
        here = tuple_(Suppression.at, Suppression.canonical)
        at, canonical = _parse_position(after)
        query = query.where(here < tuple_(literal(at, UtcDateTime), literal(canonical)))
    found = session.scalars(query.limit(most + 1)).all()
    shown = found[:most]
    further = _format_position(shown[-1]) if len(found) > most else None
    return SuppressionPage(_describe_suppressions(session, shown), further)


def iterate_suppressions(
    session: Session, asked: SuppressionFilter, *, at_once: int = 1000
) -> Iterator[ListedSuppression]:
    """All that is sought, newest first, read as it is asked for."""
    after: str | None = None
    while True:
        some = search_suppressions(session, asked, after=after, most=at_once)
        yield from some.rows
        after = some.after
        if after is None:
            return


def _select_suppressions(session: Session, asked: SuppressionFilter) -> Select[Suppression]:
    query = select(Suppression)
    if asked.reason is None:
        query = query.where(NOT_ERASED)
    else:
        query = query.where(Suppression.reason == asked.reason)
    if asked.beginning:
        query = query.where(NOT_ERASED, *_begins_with(session, asked.beginning))
    return query.order_by(Suppression.at.desc(), Suppression.canonical.desc())


def _begins_with(session: Session, beginning: str) -> tuple[ColumnElement[bool], ...]:
    """Between the beginning and all that can follow it, by characters and no language's order."""
    address = Suppression.canonical
    if session.get_bind().dialect.name == "sqlite":
        return address >= beginning, address < beginning + HIGHEST_CHARACTER
    return address.bool_op("~>=~")(beginning), address.bool_op("~<~")(beginning + HIGHEST_CHARACTER)


def _describe_suppressions(
    session: Session, found: Sequence[Suppression]
) -> list[ListedSuppression]:
    names = [one.canonical for one in found]
    who = select(Subscriber.canonical, Subscriber.id).where(Subscriber.canonical.in_(names))
    people = {row[0]: row[1] for row in session.execute(who)}
    relays = session.scalars(
        select(SuppressionOutboxEntry).where(SuppressionOutboxEntry.canonical.in_(names))
    )
    by_name = {one.canonical: one for one in relays}
    return [_describe_suppression(one, people, by_name) for one in found]


def _describe_suppression(
    one: Suppression, people: Mapping[str, int], relays: Mapping[str, SuppressionOutboxEntry]
) -> ListedSuppression:
    relay = relays.get(one.canonical)
    known, told_at = ProviderSync.NOT_TOLD, None
    if came_from_provider(one.source):
        known = ProviderSync.THEIRS
    elif relay is not None and relay.suppressed:
        if relay.next_try_at is not None:
            known = ProviderSync.WAITS
        elif relay.refused:
            known = ProviderSync.REFUSED
        else:
            known, told_at = ProviderSync.TOLD, relay.told_at
    return ListedSuppression(one, people.get(one.canonical), known, told_at)


def _format_position(one: Suppression) -> str:
    return f"{one.at.isoformat()}~{one.canonical}"


def _parse_position(after: str) -> tuple[datetime, str]:
    """Raises NotFound."""
    moment, _, canonical = after.partition("~")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        raise NotFound("There is no such page.") from None
    if at.tzinfo is None or not 1970 <= at.year < 9999 or "\0" in canonical:
        raise NotFound("There is no such page.")
    return at, canonical
