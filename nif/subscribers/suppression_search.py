"""Searching the suppression list, with what the provider knows of each entry."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from nif.errors import Invalid
from nif.paging import Page, paginate
from nif.subscribers.manual_suppressions import may_lift_suppression
from nif.subscriptions.models import NOT_ERASED, Subscriber, Suppression, SuppressionReason
from nif.subscriptions.suppression_outbox import SuppressionOutboxEntry, came_from_provider

SUPPRESSIONS_PER_PAGE = 50
MIN_PREFIX_LENGTH = 3
MAX_PREFIX_LENGTH = 300
HIGHEST_CHARACTER = "\x7f"
"""Sorts after every character that an address can contain."""

SHOWN_REASONS = (
    SuppressionReason.UNSUBSCRIBED,
    SuppressionReason.MANUAL,
    SuppressionReason.BOUNCED,
    SuppressionReason.INVALID,
    SuppressionReason.COMPLAINED,
)
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

    `pushed_at` is when the suppression was pushed to the provider, if it was.
    """

    suppression: Suppression
    subscriber_id: int | None
    provider_sync: ProviderSync
    pushed_at: datetime | None

    @property
    def may_lift(self) -> bool:
        return may_lift_suppression(self.suppression)


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
    query = select(Suppression)
    if filters.reason is None or filters.prefix:
        query = query.where(NOT_ERASED)
    if filters.reason is not None:
        query = query.where(Suppression.reason == filters.reason)
    if filters.prefix:
        query = query.where(*_begins_with(session, filters.prefix))
    newest = (Suppression.at, Suppression.canonical)
    page = paginate(session, query, *newest, after=after, size=size)
    return Page(_describe_suppressions(session, page.rows), page.after)


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


def _describe_suppressions(
    session: Session, suppressions: Sequence[Suppression]
) -> list[ListedSuppression]:
    canonicals = [suppression.canonical for suppression in suppressions]
    ids = select(Subscriber.canonical, Subscriber.id).where(Subscriber.canonical.in_(canonicals))
    subscriber_ids = {row[0]: row[1] for row in session.execute(ids)}
    entries = session.scalars(
        select(SuppressionOutboxEntry).where(SuppressionOutboxEntry.canonical.in_(canonicals))
    )
    outbox = {entry.canonical: entry for entry in entries}
    return [
        _describe_suppression(suppression, subscriber_ids, outbox) for suppression in suppressions
    ]


def _describe_suppression(
    suppression: Suppression,
    subscriber_ids: Mapping[str, int],
    outbox: Mapping[str, SuppressionOutboxEntry],
) -> ListedSuppression:
    entry = outbox.get(suppression.canonical)
    sync, pushed_at = ProviderSync.NOT_PUSHED, None
    if came_from_provider(suppression.source):
        sync = ProviderSync.FROM_PROVIDER
    elif entry is not None and entry.suppressed:
        if entry.due_at is not None:
            sync = ProviderSync.PENDING
        elif entry.rejection:
            sync = ProviderSync.REFUSED
        else:
            sync, pushed_at = ProviderSync.PUSHED, entry.pushed_at
    return ListedSuppression(
        suppression, subscriber_ids.get(suppression.canonical), sync, pushed_at
    )
