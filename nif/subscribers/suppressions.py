"""The suppression list as admins see it: searching it, adding addresses by hand, lifting them.

Each entry is shown with what the provider knows of it. An admin can lift only what an admin added:
a suppression by the reader or the provider stays. Audit entries name no address.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from nif.accounts.audit_log import Actor, record_audit_entry
from nif.errors import Conflict, Invalid, NotFound
from nif.mail.addresses import parse_address
from nif.paging import Page, paginate
from nif.subscriptions.models import NOT_ERASED, Subscriber, Suppression, SuppressionReason
from nif.subscriptions.suppression_list import (
    add_suppressions,
    find_erased_addresses,
    lift_suppressions,
    suppress_address,
)
from nif.subscriptions.suppression_outbox import SuppressionOutboxEntry, came_from_provider

SUPPRESSIONS_PER_PAGE = 50
MIN_PREFIX_LENGTH = 3
MAX_PREFIX_LENGTH = 300
HIGHEST_CHARACTER = "\x7f"
"""Sorts after every character that an address can contain."""

MANUAL_SOURCE = "manual: "
"""The prefix of the source of every suppression that an admin added; the reason follows."""

MAX_REASON_LENGTH = 200
MAX_PASTED_ADDRESSES = 10_000
"""Addresses added at once. Larger files are imported."""

SUPPRESSION_LIST = ("suppression", "list")
"""The subject of audit entries about no subscriber."""

NOT_LIFTABLE = "Only a suppression that an admin added can be lifted."
_IN_BRACKETS = re.compile(r"<([^<>]*)>")

SHOWN_REASONS = [one for one in SuppressionReason if one is not SuppressionReason.ERASED]
"""The reasons whose entries have an address. Of erased subscribers only a keyed hash is kept."""


class ProviderSync(StrEnum):
    """Whether the provider has a suppression on its own lists."""

    FROM_PROVIDER = "from_provider"
    PUSHED = "pushed"
    PENDING = "pending"
    REFUSED = "refused"
    NOT_PUSHED = "not_pushed"


@dataclass(frozen=True)
class SuppressionFilter:
    """Selects suppressions by reason and by the beginning of the address."""

    reason: SuppressionReason | None = None
    prefix: str = ""


@dataclass(frozen=True)
class ListedSuppression:
    """One suppression, the subscriber with that address if there is one, and the provider's side.

    `entry` is the last change of this address that was queued for the provider, if any.
    """

    suppression: Suppression
    subscriber_id: int | None
    entry: SuppressionOutboxEntry | None

    @property
    def may_lift(self) -> bool:
        return may_lift_suppression(self.suppression)

    @property
    def provider_sync(self) -> ProviderSync:
        if came_from_provider(self.suppression.source):
            return ProviderSync.FROM_PROVIDER
        if self.entry is None or not self.entry.suppressed:
            return ProviderSync.NOT_PUSHED
        if self.entry.due_at is not None:
            return ProviderSync.PENDING
        return ProviderSync.REFUSED if self.entry.rejection else ProviderSync.PUSHED

    @property
    def pushed_at(self) -> datetime | None:
        """When the suppression was pushed to the provider, if the provider has it from us."""
        is_pushed = self.provider_sync is ProviderSync.PUSHED
        return self.entry.pushed_at if self.entry and is_pushed else None


def parse_suppression_filter(reason: str, prefix: str) -> SuppressionFilter:
    """Raises Invalid, for the fields `reason` and `begins`."""
    problems = {}
    if reason not in {"", *SHOWN_REASONS}:
        problems["reason"] = "Choose one of the reasons."
    prefix = prefix.strip().lower()
    if prefix and len(prefix) < MIN_PREFIX_LENGTH:
        problems["begins"] = f"Type at least {MIN_PREFIX_LENGTH} characters of the beginning."
    if len(prefix) > MAX_PREFIX_LENGTH or not (prefix.isascii() and prefix.isprintable()):
        problems["begins"] = "No address begins like this: addresses have plain characters only."
    if problems:
        raise Invalid(problems)
    return SuppressionFilter(SuppressionReason(reason) if reason else None, prefix)


def search_suppressions(
    session: Session,
    filters: SuppressionFilter,
    *,
    after: str | None = None,
    size: int = SUPPRESSIONS_PER_PAGE,
) -> Page[ListedSuppression]:
    """A page of the list, newest first."""
    query = select(Suppression.canonical)
    if filters.reason is None or filters.prefix:
        query = query.where(NOT_ERASED)
    if filters.reason is not None:
        query = query.where(Suppression.reason == filters.reason)
    if filters.prefix:
        query = query.where(*_begins_with(session, filters.prefix))
    newest = (Suppression.at, Suppression.canonical)
    page = paginate(session, query, *newest, after=after, size=size)
    # Joined to the page's rows only: a join before the search could read whole tables.
    shown = (
        select(Suppression, Subscriber.id, SuppressionOutboxEntry)
        .outerjoin(Subscriber, Subscriber.canonical == Suppression.canonical)
        .outerjoin(
            SuppressionOutboxEntry, SuppressionOutboxEntry.canonical == Suppression.canonical
        )
        .where(Suppression.canonical.in_(page.rows))
        .order_by(*(key.desc() for key in newest))
    )
    return Page([ListedSuppression(*row) for row in session.execute(shown)], page.after)


def iterate_suppressions(
    session: Session, filters: SuppressionFilter, *, page_size: int = 1000
) -> Iterator[ListedSuppression]:
    """All suppressions that match, newest first, loaded page by page."""
    after: str | None = None
    while True:
        page = search_suppressions(session, filters, after=after, size=page_size)
        yield from page.rows
        after = page.after
        if after is None:
            return


def _begins_with(session: Session, prefix: str) -> tuple[ColumnElement[bool], ...]:
    """A range over the index, compared by character and not by a language's collation."""
    address = Suppression.canonical
    if session.get_bind().dialect.name == "sqlite":
        return address >= prefix, address < prefix + HIGHEST_CHARACTER
    return address.bool_op("~>=~")(prefix), address.bool_op("~<~")(prefix + HIGHEST_CHARACTER)


def parse_pasted_addresses(text: str) -> tuple[set[str], list[str]]:
    """The addresses in a text, and its other parts; line breaks, commas, semicolons, tabs or spaces
    separate them.

    Raises Invalid if there are none or more than MAX_PASTED_ADDRESSES.
    """
    parts: list[str] = []
    for part in re.split(r"[,;\t]", ",".join(text.splitlines())):
        bracketed = _IN_BRACKETS.search(part)
        parts += [bracketed[1]] if bracketed else part.split()
    if not parts:
        raise Invalid({"addresses": "Enter at least one address."})
    if len(parts) > MAX_PASTED_ADDRESSES:
        raise Invalid(
            {
                "addresses": f"At most {MAX_PASTED_ADDRESSES:,} addresses at once; "
                "import a file of more."
            }
        )
    canonicals, invalid = set[str](), list[str]()
    for part in parts:
        try:
            canonicals.add(parse_address(part).canonical)
        except Invalid:
            invalid.append(part)
    return canonicals, invalid


def parse_suppression_reason(typed: str) -> str:
    """An admin's reason as one line. Raises Invalid if it is missing, too long or unprintable."""
    reason = " ".join(typed.split())
    if not reason:
        raise Invalid({"reason": "Enter a reason that others will understand later."})
    if len(reason) > MAX_REASON_LENGTH or not reason.isprintable():
        raise Invalid({"reason": f"A reason has at most {MAX_REASON_LENGTH} plain characters."})
    return reason


def add_manual_suppressions(
    session: Session, canonicals: Iterable[str], reason: str, *, by: Actor, now: datetime
) -> tuple[int, int]:
    """Suppress these addresses; returns how many were added, and how many were there already.

    Existing suppressions keep their reason and source.
    Erased addresses count as already there. Raises Invalid for an invalid reason.
    """
    source = f"{MANUAL_SOURCE}{parse_suppression_reason(reason)}"
    wanted = set(canonicals)
    not_erased = wanted - find_erased_addresses(session, wanted)
    reasons = dict.fromkeys(sorted(not_erased), SuppressionReason.MANUAL)
    added = len(add_suppressions(session, reasons, source=source, now=now))
    detail = {"added": added, "already_there": len(wanted) - added}
    record_audit_entry(session, by, "suppressions_added", *SUPPRESSION_LIST, detail=detail, now=now)
    return added, len(wanted) - added


def suppress_subscriber_as_admin(
    session: Session, subscriber: Subscriber, reason: str, *, by: Actor, now: datetime
) -> None:
    """Suppress a subscriber's address.

    Raises Invalid for an invalid reason; Conflict if the address is suppressed already, because
    lifting must never lift what the reader or the provider asked for.
    """
    source = f"{MANUAL_SOURCE}{parse_suppression_reason(reason)}"
    if session.get(Suppression, subscriber.canonical, with_for_update=True) is not None:
        raise Conflict("This subscriber is suppressed already.")
    suppress_address(
        session, subscriber.canonical, SuppressionReason.MANUAL, source=source, now=now
    )
    record_audit_entry(session, by, "subscriber_suppressed", "subscriber", subscriber.id, now=now)


def may_lift_suppression(suppression: Suppression | None) -> bool:
    """True if an admin added this suppression."""
    return (
        suppression is not None
        and suppression.source.startswith(MANUAL_SOURCE)
        and suppression.reason is SuppressionReason.MANUAL
    )


def get_liftable_suppression(session: Session, canonical: str) -> Suppression:
    """A suppression that an admin added. Raises NotFound for none, Conflict for any other."""
    suppression = session.get(Suppression, canonical, with_for_update=True, populate_existing=True)
    if suppression is None:
        raise NotFound("This address is not suppressed.")
    if not may_lift_suppression(suppression):
        raise Conflict(NOT_LIFTABLE)
    return suppression


def lift_manual_suppression(session: Session, canonical: str, *, by: Actor, now: datetime) -> None:
    """Lift what an admin added. Raises NotFound and Conflict as `get_liftable_suppression` does."""
    get_liftable_suppression(session, canonical)
    lift_suppressions(session, Suppression.canonical == canonical, now=now)
    subscriber_id = session.scalar(select(Subscriber.id).where(Subscriber.canonical == canonical))
    subject = SUPPRESSION_LIST if subscriber_id is None else ("subscriber", subscriber_id)
    record_audit_entry(session, by, "suppression_lifted", *subject, now=now)


def lift_subscriber_suppression(
    session: Session, subscriber: Subscriber, *, by: Actor, now: datetime
) -> None:
    """Lift what an admin added. Raises Conflict for any other suppression, and for none."""
    try:
        lift_manual_suppression(session, subscriber.canonical, by=by, now=now)
    except NotFound:
        raise Conflict(NOT_LIFTABLE) from None
