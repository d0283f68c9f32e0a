"""Segment conditions as SQL: finding the subscribers who match, page by page, and counting them.

Every condition is written once, in `select_ids`: as a set of ids that an index starts with the
condition's value. Whether one subscriber matches is asked of the same set, by their id. Neither
scans a table.

Counting is one statement that begins with the smallest set. A page of subscribers takes candidates
in the order of an index, some thousands at a time, and tests them. One page tests at most
MAX_CANDIDATES; if few match, it reports how far it came and the next page continues from there. So
no page waits for a million rows, whatever the conditions are.

Parts of addresses are found by a trigram index. Adding rows to one of those one by one would make
an import ten times slower, so the worker adds new subscribers in bulk. Subscribers above the mark
are not indexed yet; a search scans those rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    String,
    TableClause,
    Text,
    and_,
    column,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    table,
    union,
    union_all,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from nif.database import Base, BigId, Transaction, count_rows, is_among_ids, lock_row
from nif.paging import Page, begin_after, make_cursor
from nif.sends.models import ProviderEvent
from nif.sends.subscriber_activity import CLICK_EVENT, was_active_since
from nif.subscribers.segments import ANY_REASON, ConditionMatch, SegmentCondition, SegmentConditions
from nif.subscriptions.consent import is_reader_action
from nif.subscriptions.models import (
    Consent,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionState,
    Suppression,
    SuppressionReason,
)

MAX_SOURCES = 50

SUBSCRIBERS_PER_PAGE = 50
MAX_CANDIDATES = 10_000
CANDIDATE_STEPS = (100, 900, 3_000, 3_000, 3_000)
"""How many candidates are tested at a time; together they are MAX_CANDIDATES."""

_Candidate = aliased(Subscriber)

FIELDS_BY_SIZE = ("suppressed", "address", "list", "activity", "joined", "source")
"""The fields in the order of how many subscribers they usually match, smallest first."""

FIELDS_IN_ORDER = ("address", "joined", "list", "source")
"""The fields whose index yields subscribers in the order of pages, the best beginning first."""


@dataclass(frozen=True)
class SegmentContext:
    """What conditions are evaluated against: the lists by slug, and the state of the index."""

    lists: Mapping[str, MailingList]
    time_zone: ZoneInfo
    indexed_through_id: int
    on_sqlite: bool

    def size_of(self, condition: SegmentCondition) -> int:
        """How many subscriptions a condition on a list concerns, by the list's stored counters."""
        if condition.field != "list":
            return 0
        return int(getattr(self.lists[condition.value], f"{condition.positive_operator}_count"))


def load_segment_context(session: Session, zone: str) -> SegmentContext:
    """Read the context: one row per list, and the address index's mark."""
    return SegmentContext(
        lists={one.slug: one for one in session.scalars(select(MailingList))},
        time_zone=ZoneInfo(zone),
        indexed_through_id=get_indexed_through(session),
        on_sqlite=session.get_bind().dialect.name == "sqlite",
    )


def list_consent_sources(session: Session) -> Sequence[str]:
    """The distinct consent sources in order, at most MAX_SOURCES.

    A recursive query jumps from each source to the next one in the index.
    """
    following = aliased(Consent)
    seen = select(func.min(Consent.source).label("source")).cte("seen", recursive=True)
    further = (
        select(func.min(following.source))
        .where(following.source > seen.c.source)
        .correlate(seen)
        .scalar_subquery()
    )
    seen = seen.union_all(select(further).where(seen.c.source.is_not(None)))
    found = select(seen.c.source).where(seen.c.source.is_not(None)).limit(MAX_SOURCES)
    return [source for source in session.scalars(found) if source]


def select_ids(condition: SegmentCondition, context: SegmentContext) -> Select[Any]:
    """The subscribers who match a condition, as a column `id`.

    For a negation they are those who do not match it. Of a source and of activity, an id may appear
    several times.
    """
    value = condition.value
    match condition.field:
        case "address":
            return select(union_all(*_select_by_address(condition, context)).subquery("found").c.id)
        case "list":
            return select(Subscription.subscriber_id.label("id")).where(
                Subscription.list_id == context.lists[value].id,
                Subscription.state == SubscriptionState(condition.positive_operator),
            )
        case "source":
            return select(Consent.subscriber_id.label("id")).where(Consent.source == value)
        case "suppressed":
            same_address = Suppression.canonical == Subscriber.canonical
            suppressed = select(Subscriber.id.label("id")).join(Suppression, same_address)
            if value == ANY_REASON:
                return suppressed
            return suppressed.where(Suppression.reason == SuppressionReason(value))
        case "joined":
            return select(Subscriber.id.label("id")).where(_joined(condition, context))
    since = _start_of_day(condition, context)
    acts = select(Consent.subscriber_id.label("id")).where(Consent.at >= since, is_reader_action())
    clicks = select(ProviderEvent.subscriber_id.label("id")).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.happened_at >= since,
        ProviderEvent.subscriber_id.is_not(None),
    )
    return select(union_all(acts, clicks).subquery("active").c.id)


def matches_condition(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    """An expression: does the subscriber with this id match the condition?"""
    if condition.field == "activity":
        is_in_set = was_active_since(subscriber_id, _start_of_day(condition, context))
    else:
        ids = select_ids(condition, context)
        if condition.field == "address":
            # An index of parts cannot be asked about one address; the address itself can.
            has_part = Subscriber.canonical.contains(condition.value, autoescape=True)
            ids = select(Subscriber.id.label("id")).where(has_part)
        is_in_set = ids.where(ids.selected_columns.id == subscriber_id).exists()
    return ~is_in_set if condition.is_negation else is_in_set


def _select_by_address(
    condition: SegmentCondition, context: SegmentContext
) -> Sequence[Select[Any]]:
    return select_matches(condition.value, context.indexed_through_id, on_sqlite=context.on_sqlite)


def _joined(condition: SegmentCondition, context: SegmentContext) -> ColumnElement[bool]:
    since: ColumnElement[bool] = Subscriber.created_at >= _start_of_day(condition, context)
    return since if condition.operator == "since" else ~since


def _start_of_day(condition: SegmentCondition, context: SegmentContext) -> datetime:
    return datetime.combine(date.fromisoformat(condition.value), time(), context.time_zone)


def count_matching(session: Session, conditions: SegmentConditions, context: SegmentContext) -> int:
    """How many subscribers match the conditions now.

    Any of some conditions is the opposite of: none of them. So both are a question for all of some
    conditions, at least one of which is a set to begin with, or for the union of some sets.
    """
    if not conditions.rows:
        return count_rows(session, select(Subscriber.id))
    is_all = conditions.match is ConditionMatch.ALL
    first = min(
        (row for row in conditions.rows if row.is_negation is not is_all),
        key=lambda row: (FIELDS_BY_SIZE.index(row.field), context.size_of(row)),
        default=None,
    )
    if first is None:
        found, is_answer = count_rows(session, _unite_ids(conditions.rows, context)), not is_all
    else:
        ids = _unite_ids([first], context).subquery("candidates")
        tests = [
            matches_condition(row, ids.c.id, context) for row in conditions.rows if row is not first
        ]
        query = select(ids.c.id).where(*(test if is_all else ~test for test in tests))
        found, is_answer = count_rows(session, query), is_all
    return found if is_answer else count_rows(session, select(Subscriber.id)) - found


def _unite_ids(rows: Sequence[SegmentCondition], context: SegmentContext) -> Any:
    """The ids in at least one of the sets of some conditions, each once."""
    sets = [select_ids(row, context) for row in rows]
    if len(sets) > 1:
        return union(*sets)
    return sets[0].distinct() if rows[0].field in {"source", "activity"} else sets[0]


@dataclass(frozen=True)
class SubscriberSummary:
    """A subscriber as one line of a page: the lists by title with their states, the suppression."""

    subscriber: Subscriber
    lists: Sequence[tuple[str, SubscriptionState]]
    suppressed: SuppressionReason | None


@dataclass(frozen=True)
class SubscriberPage(Page[SubscriberSummary]):
    """A page of subscribers, newest first.

    `stopped_early` says that the page ended because it had tested MAX_CANDIDATES, not because it
    was full.
    """

    stopped_early: bool = False


def search_subscribers(
    session: Session,
    conditions: SegmentConditions,
    context: SegmentContext,
    *,
    after: str | None = None,
) -> SubscriberPage:
    """A page of the subscribers that match. Raises NotFound for an invalid cursor `after`."""
    candidates = _choose_candidates(conditions, context)
    found: list[Sequence[Any]] = []
    for step in CANDIDATE_STEPS:
        tested = _read_candidates(session, candidates, after, step)
        matching = _find_matching(session, tested, candidates, context)
        found += [keys for keys in tested if keys[-1] in matching]
        if len(found) > SUBSCRIBERS_PER_PAGE:
            shown = found[:SUBSCRIBERS_PER_PAGE]
            return SubscriberPage(_summarize_subscribers(session, shown), make_cursor(*shown[-1]))
        if len(tested) < step:
            return SubscriberPage(_summarize_subscribers(session, found), None)
        after = make_cursor(*tested[-1])
    return SubscriberPage(_summarize_subscribers(session, found), after, stopped_early=True)


@dataclass(frozen=True)
class _Candidates:
    """The subscribers who may match, from `queries` that follow each other.

    Pages are in the order of the columns `keys`, the last of which is the id. Each candidate still
    has to pass the `tests`: all or any of them.
    """

    queries: Sequence[Select[Any]]
    tests: SegmentConditions
    keys: Sequence[str] = ("id",)


def _choose_candidates(conditions: SegmentConditions, context: SegmentContext) -> _Candidates:
    """Those of the condition whose index probably yields the fewest; else all subscribers."""
    usable = [
        row for row in conditions.rows if row.field in FIELDS_IN_ORDER and not row.is_negation
    ]
    if conditions.match is ConditionMatch.ANY or not usable:
        return _Candidates([select(Subscriber.id)], conditions)
    leading = min(usable, key=lambda row: _rank_for_pages(row, context))
    if leading.field == "joined":
        # All days of joining together are one part of the index.
        days = [row for row in usable if row.field == "joined"]
        rest = SegmentConditions(rows=[row for row in conditions.rows if row not in days])
        joined = [_joined(row, context) for row in days]
        query: Any = select(Subscriber.created_at, Subscriber.id).where(*joined)
        return _Candidates([query], rest, ("created_at", "id"))
    rest = SegmentConditions(rows=[row for row in conditions.rows if row is not leading])
    if leading.field == "address":
        return _Candidates(_select_by_address(leading, context), rest)
    return _Candidates([select_ids(leading, context)], rest)


def _rank_for_pages(condition: SegmentCondition, context: SegmentContext) -> tuple[int, int]:
    size = context.size_of(condition)
    is_small = condition.field == "list" and size <= MAX_CANDIDATES
    return -1 if is_small else FIELDS_IN_ORDER.index(condition.field), size


def _read_candidates(
    session: Session, candidates: _Candidates, after: str | None, limit: int
) -> list[Sequence[Any]]:
    """The keys of the next candidates."""
    read: list[Sequence[Any]] = []
    for query in candidates.queries:
        found = query.subquery("candidates")
        keys = [found.c[name] for name in candidates.keys]
        following = begin_after(select(*keys).distinct(), *keys, after=after)
        read += session.execute(following.limit(limit - len(read)))
    return read


def _find_matching(
    session: Session,
    keys: Sequence[Sequence[Any]],
    candidates: _Candidates,
    context: SegmentContext,
) -> set[int]:
    """The ids of those candidates that pass the tests."""
    ids = [key[-1] for key in keys]
    tests = [matches_condition(row, _Candidate.id, context) for row in candidates.tests.rows]
    if not tests:
        return set(ids)
    combined = and_(*tests) if candidates.tests.match is ConditionMatch.ALL else or_(*tests)
    is_candidate = is_among_ids(session, _Candidate.id, ids)
    return set(session.scalars(select(_Candidate.id).where(is_candidate, combined)))


def _summarize_subscribers(session: Session, keys: Sequence[Any]) -> list[SubscriberSummary]:
    """The summaries of these subscribers, in the given order."""
    ids = [key[-1] for key in keys]
    subscribers = (
        select(Subscriber, Suppression.reason)
        .outerjoin(Suppression, Suppression.canonical == Subscriber.canonical)
        .where(Subscriber.id.in_(ids))
    )
    by_id = {row.Subscriber.id: row for row in session.execute(subscribers)}
    lists: dict[int, list[tuple[str, SubscriptionState]]] = {}
    subscriptions = (
        select(Subscription.subscriber_id, MailingList.title, Subscription.state)
        .join(MailingList, MailingList.id == Subscription.list_id)
        .where(Subscription.subscriber_id.in_(ids))
        .order_by(MailingList.id)
    )
    for subscriber_id, title, state in session.execute(subscriptions):
        lists.setdefault(subscriber_id, []).append((title, state))
    return [
        SubscriberSummary(by_id[id_].Subscriber, lists.get(id_, []), by_id[id_].reason)
        for id_ in ids
        if id_ in by_id
    ]


INDEX_BATCH = 10_000
SETTLED_AFTER = timedelta(minutes=5)
"""On PostgreSQL a smaller id may be committed after a larger one, but not this much later."""


class AddressIndexMark(Base):
    """The single row that records up to which subscriber id the address index is filled."""

    __tablename__ = "address_index_mark"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    indexed_through_id: Mapped[int] = mapped_column(BigInteger)


def _search_table(*, on_sqlite: bool) -> TableClause:
    """The table of the index. Its key is an id of a subscriber."""
    key = "rowid" if on_sqlite else "id"
    return table("subscriber_search", column(key, BigInteger), column("canonical", String))


def index_new_addresses(transaction: Transaction, *, now: datetime) -> int:
    """Add new subscribers to the address index; returns how many ids the mark moved on."""
    total = 0
    while True:
        with transaction() as session:
            indexed = _index_batch(session, now=now)
        if not indexed:
            return total
        total += indexed


def _index_batch(session: Session, *, now: datetime) -> int:
    mark = lock_row(session, AddressIndexMark, 1, id=1, indexed_through_id=0)
    next_rows = select(Subscriber.id, Subscriber.created_at).where(
        Subscriber.id > mark.indexed_through_id
    )
    rows = session.execute(next_rows.order_by(Subscriber.id).limit(INDEX_BATCH)).all()
    settled = [row.id for row in rows if row.created_at <= now - SETTLED_AFTER]
    unsettled = [row.id for row in rows if row.created_at > now - SETTLED_AFTER]
    # Stop before the first unsettled row: a search scans everything above the mark anyway.
    through = max((id_ for id_ in settled if not unsettled or id_ < unsettled[0]), default=0)
    if not through:
        return 0
    search = _search_table(on_sqlite=session.get_bind().dialect.name == "sqlite")
    span = (Subscriber.id > mark.indexed_through_id, Subscriber.id <= through)
    new_rows = select(Subscriber.id, Subscriber.canonical).where(*span)
    session.execute(insert(search).from_select(list(search.c.keys()), new_rows))
    indexed = through - mark.indexed_through_id
    mark.indexed_through_id = through
    return indexed


def get_indexed_through(session: Session) -> int:
    """The highest subscriber id in the address index; 0 before the first batch."""
    mark = session.get(AddressIndexMark, 1)
    return 0 if mark is None else mark.indexed_through_id


def select_matches(
    part: str, indexed_through_id: int, *, on_sqlite: bool
) -> tuple[Select[Any], Select[Any]]:
    """The ids, as a column `id`, whose address contains `part`: those above the mark, and others.

    `part` has at least MIN_PART_LENGTH characters.
    """
    unindexed = select(Subscriber.id.label("id")).where(
        Subscriber.id > indexed_through_id, Subscriber.canonical.contains(part, autoescape=True)
    )
    key, address = _search_table(on_sqlite=on_sqlite).c
    indexed = select(key.label("id"))
    if on_sqlite:
        phrase = '"' + part.replace('"', '""') + '"'
        return unindexed, indexed.where(literal_column("subscriber_search").op("MATCH")(phrase))
    trigrams = literal([part[n : n + 3] for n in range(len(part) - 2)], ARRAY(Text))
    has_trigrams = func.nif_grams(address).bool_op("@>")(trigrams)
    return unindexed, indexed.where(has_trigrams, address.contains(part, autoescape=True))
