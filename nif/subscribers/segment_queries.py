"""Segment conditions as SQL: counting the matches, and paging through them.

A condition becomes either a set of ids, read from an index that starts with the condition's value,
or a test on one id, looked up by that id. Neither scans a table.

Counting is one statement over sets. Every question is turned into one of two that an index can
start: all of some conditions, at least one of which is no negation, or any of some conditions
without negations. The other cases are the number of all subscribers minus one of these.

A page of subscribers takes candidates in index order, some thousands at a time, and tests them by
id. One page tests at most MAX_CANDIDATES; if few match, it reports how far it came and the next
page continues from there. So no page waits for a million rows, whatever the conditions are.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    union,
    union_all,
)
from sqlalchemy.orm import Session, aliased

from nif.paging import Page, begin_after, make_cursor
from nif.sends.models import ProviderEvent
from nif.sends.subscriber_activity import CLICK_EVENT, was_active_since
from nif.subscribers import address_index
from nif.subscribers.segment_conditions import (
    ANY_REASON,
    ConditionMatch,
    SegmentCondition,
    SegmentConditions,
)
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

_SubscriberById = aliased(Subscriber)
"""A subscriber's row, looked up by an id from another table."""

CURRENT_SUBSCRIBER_ID = Subscriber.__table__.c.id
"""The id of the subscriber row being tested; its other columns need no lookup."""

IdQuery = Select[Any]


@dataclass(frozen=True)
class SegmentContext:
    """What conditions are evaluated against.

    `list_ids` are by slug, `list_sizes` are the lists' stored counters by slug and state.
    """

    list_ids: Mapping[str, int]
    list_sizes: Mapping[tuple[str, str], int]
    time_zone: ZoneInfo
    indexed_through_id: int
    on_sqlite: bool


def load_segment_context(session: Session, zone: str) -> SegmentContext:
    """Read the context: one row per list, and the address index's mark."""
    lists = session.scalars(select(MailingList)).all()
    list_sizes = {
        (mailing_list.slug, state.value): getattr(mailing_list, f"{state.value}_count")
        for mailing_list in lists
        for state in SubscriptionState
    }
    return SegmentContext(
        list_ids={mailing_list.slug: mailing_list.id for mailing_list in lists},
        list_sizes=list_sizes,
        time_zone=ZoneInfo(zone),
        indexed_through_id=address_index.get_indexed_through(session),
        on_sqlite=session.get_bind().dialect.name == "sqlite",
    )


MAX_SOURCES = 50


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


def select_matching_ids(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    """The ids that match a condition; for a negation, the ids that match what it negates.

    The column is called `id`. An id may appear twice if `may_repeat_ids` says so.
    """
    return _ID_QUERIES[condition.field](condition, context)


def may_repeat_ids(condition: SegmentCondition) -> bool:
    return condition.field in {"source", "activity"}


def condition_matches(
    condition: SegmentCondition, subscriber_id: ColumnElement[int], context: SegmentContext
) -> ColumnElement[bool]:
    """An expression that tests whether `subscriber_id` matches a condition."""
    matches = _MATCHERS[condition.field](condition, subscriber_id, context)
    return ~matches if condition.is_negation else matches


def _start_of_day(condition: SegmentCondition, context: SegmentContext) -> datetime:
    return datetime.combine(date.fromisoformat(condition.value), time(), context.time_zone)


def _ids_by_address(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    unindexed = address_index.select_unindexed_matches(condition.value, context.indexed_through_id)
    indexed = address_index.select_indexed_matches(condition.value, on_sqlite=context.on_sqlite)
    return select(union_all(indexed, unindexed).subquery("found").c.id)


def _matches_address(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    if subscriber_id is CURRENT_SUBSCRIBER_ID:
        return Subscriber.canonical.contains(condition.value, autoescape=True)
    part = _SubscriberById.canonical.contains(condition.value, autoescape=True)
    return select(_SubscriberById.id).where(_SubscriberById.id == subscriber_id, part).exists()


def _state_of_condition(condition: SegmentCondition) -> SubscriptionState:
    return SubscriptionState(condition.definition.negates or condition.operator)


def _ids_by_list(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    return select(Subscription.subscriber_id.label("id")).where(
        Subscription.list_id == context.list_ids.get(condition.value, 0),
        Subscription.state == _state_of_condition(condition),
    )


def _matches_list(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    return (
        select(Subscription.list_id)
        .where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.list_id == context.list_ids.get(condition.value, 0),
            Subscription.state == _state_of_condition(condition),
        )
        .exists()
    )


def matches_created_at(
    condition: SegmentCondition, created_at: Any, context: SegmentContext
) -> ColumnElement[bool]:
    """A `joined` condition as a test on a `created_at` column."""
    at = _start_of_day(condition, context)
    since: ColumnElement[bool] = created_at >= at
    return since if condition.operator == "since" else ~since


def _ids_by_joining(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    matches = matches_created_at(condition, Subscriber.created_at, context)
    return select(Subscriber.id.label("id")).where(matches)


def _matches_joining(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    if subscriber_id is CURRENT_SUBSCRIBER_ID:
        return matches_created_at(condition, Subscriber.created_at, context)
    matches = matches_created_at(condition, _SubscriberById.created_at, context)
    return select(_SubscriberById.id).where(_SubscriberById.id == subscriber_id, matches).exists()


def _ids_by_source(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    return select(Consent.subscriber_id.label("id")).where(Consent.source == condition.value)


def _matches_source(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    return (
        select(Consent.id)
        .where(Consent.subscriber_id == subscriber_id, Consent.source == condition.value)
        .exists()
    )


def _ids_by_activity(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    at = _start_of_day(condition, context)
    actions = select(Consent.subscriber_id.label("id")).where(Consent.at >= at, is_reader_action())
    clicks = select(ProviderEvent.subscriber_id.label("id")).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.happened_at >= at,
        ProviderEvent.subscriber_id.is_not(None),
    )
    return select(union_all(actions, clicks).subquery("active").c.id)


def _matches_activity(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    return was_active_since(subscriber_id, _start_of_day(condition, context))


def _ids_by_suppression(condition: SegmentCondition, context: SegmentContext) -> IdQuery:
    found = select(Subscriber.id.label("id")).join(
        Suppression, Suppression.canonical == Subscriber.canonical
    )
    return found if condition.value == ANY_REASON else found.where(_matches_reason(condition))


def _matches_suppression(
    condition: SegmentCondition, subscriber_id: Any, context: SegmentContext
) -> ColumnElement[bool]:
    if subscriber_id is CURRENT_SUBSCRIBER_ID:
        found = select(Suppression.at).where(Suppression.canonical == Subscriber.canonical)
    else:
        same_address = Suppression.canonical == _SubscriberById.canonical
        found = (
            select(Suppression.at)
            .join(_SubscriberById, same_address)
            .where(_SubscriberById.id == subscriber_id)
        )
    return (
        found if condition.value == ANY_REASON else found.where(_matches_reason(condition))
    ).exists()


def _matches_reason(condition: SegmentCondition) -> ColumnElement[bool]:
    return Suppression.reason == SuppressionReason(condition.value)


_ID_QUERIES: Mapping[str, Callable[[SegmentCondition, SegmentContext], IdQuery]] = {
    "address": _ids_by_address,
    "list": _ids_by_list,
    "joined": _ids_by_joining,
    "source": _ids_by_source,
    "activity": _ids_by_activity,
    "suppressed": _ids_by_suppression,
}
_MATCHERS: Mapping[str, Callable[[SegmentCondition, Any, SegmentContext], ColumnElement[bool]]] = {
    "address": _matches_address,
    "list": _matches_list,
    "joined": _matches_joining,
    "source": _matches_source,
    "activity": _matches_activity,
    "suppressed": _matches_suppression,
}


FIELDS_BY_SIZE = ("suppressed", "address", "list", "activity", "joined", "source")
"""The fields in the order of how many subscribers they usually match, smallest first."""


def count_matching(session: Session, conditions: SegmentConditions, context: SegmentContext) -> int:
    """How many subscribers match the conditions now."""
    negations = [row for row in conditions.rows if row.is_negation]
    if not conditions.rows:
        return _count_everyone(session)
    if conditions.match is ConditionMatch.ALL:
        if len(negations) == len(conditions.rows):
            return _count_everyone(session) - _count_matching_any(session, conditions.rows, context)
        return _count_matching_all(session, conditions.rows, context, reverse=False)
    if not negations:
        return _count_matching_any(session, conditions.rows, context)
    return _count_everyone(session) - _count_matching_all(
        session, conditions.rows, context, reverse=True
    )


def rank_by_size(condition: SegmentCondition, context: SegmentContext) -> tuple[int, int]:
    """A sort key: the condition that probably matches the fewest subscribers comes first."""
    state = condition.definition.negates or condition.operator
    size = context.list_sizes.get((condition.value, state), 0)
    return FIELDS_BY_SIZE.index(condition.field), size


def _count_everyone(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Subscriber)) or 0


def _count_matching_any(
    session: Session, rows: Sequence[SegmentCondition], context: SegmentContext
) -> int:
    """Count the matches of any condition; a negation counts as what it negates."""
    sets: list[Select[tuple[int]]] = [select_matching_ids(row, context) for row in rows]
    if len(sets) == 1 and not may_repeat_ids(rows[0]):
        query: Select[tuple[int]] | CompoundSelect[tuple[int]] = sets[0]
    else:
        query = union(*sets) if len(sets) > 1 else sets[0].distinct()
    return session.scalar(select(func.count()).select_from(query.subquery("matching"))) or 0


def _count_matching_all(
    session: Session, rows: Sequence[SegmentCondition], context: SegmentContext, *, reverse: bool
) -> int:
    """Count the matches of all conditions, or with `reverse` of none of them."""
    usable_first = [row for row in rows if row.is_negation is reverse]
    first = min(usable_first, key=lambda row: rank_by_size(row, context))
    ids = select_matching_ids(first, context)
    candidates = (ids.distinct() if may_repeat_ids(first) else ids).subquery("candidates")
    tests = [condition_matches(row, candidates.c.id, context) for row in rows if row is not first]
    count = select(func.count()).select_from(candidates)
    return session.scalar(count.where(*(~test if reverse else test for test in tests))) or 0


SUBSCRIBERS_PER_PAGE = 50
MAX_CANDIDATES = 10_000
CANDIDATE_STEPS = (100, 900, 3_000, 3_000, 3_000)
"""How many candidates are tested at a time; together they are MAX_CANDIDATES."""


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
    """A page of the subscribers that match. Raises NotFound for a cursor that no page gave out."""
    leading = _choose_leading_condition(conditions, context)
    found: list[tuple[Any, ...]] = []
    for step in CANDIDATE_STEPS:
        candidates = _next_candidates(session, conditions, leading, context, after, step)
        matching = _filter_matching(
            session, [candidate[-1] for candidate in candidates], conditions, leading, context
        )
        found += [candidate for candidate in candidates if candidate[-1] in matching]
        if len(found) > SUBSCRIBERS_PER_PAGE:
            shown = found[:SUBSCRIBERS_PER_PAGE]
            return SubscriberPage(_summarize_subscribers(session, shown), make_cursor(*shown[-1]))
        if len(candidates) < step:
            return SubscriberPage(_summarize_subscribers(session, found), None)
        after = make_cursor(*candidates[-1])
    return SubscriberPage(_summarize_subscribers(session, found), after, stopped_early=True)


def _choose_leading_condition(
    conditions: SegmentConditions, context: SegmentContext
) -> SegmentCondition | None:
    """The condition whose index supplies the candidates; None if every subscriber is one."""
    if conditions.match is ConditionMatch.ANY:
        return None
    rank_of_field = {"address": 1, "joined": 2, "list": 3, "source": 4}
    ranked: list[tuple[int, int, int, SegmentCondition]] = []
    for row in conditions.rows:
        if row.is_negation or row.field not in rank_of_field:
            continue
        size = context.list_sizes.get((row.value, row.operator), 0)
        is_small = row.field == "list" and size <= MAX_CANDIDATES
        ranked.append((0 if is_small else rank_of_field[row.field], size, len(ranked), row))
    return min(ranked)[3] if ranked else None


def _next_candidates(
    session: Session,
    conditions: SegmentConditions,
    leading: SegmentCondition | None,
    context: SegmentContext,
    after: str | None,
    limit: int,
) -> Sequence[tuple[Any, ...]]:
    """The keys of the next candidates, of which the last is the id."""
    if leading is not None and leading.field == "joined":
        return _next_candidates_by_joining(session, conditions, context, after, limit)
    if leading is not None and leading.field == "address":
        unindexed = address_index.select_unindexed_matches(
            leading.value, context.indexed_through_id
        )
        ids = list(session.execute(_select_next_ids(unindexed, after, limit)))
        if len(ids) < limit:
            indexed = address_index.select_indexed_matches(
                leading.value, on_sqlite=context.on_sqlite
            )
            ids += session.execute(_select_next_ids(indexed, after, limit - len(ids)))
        return ids
    query = (
        select(Subscriber.id.label("id"))
        if leading is None
        else select_matching_ids(leading, context)
    )
    following = _select_next_ids(query, after, limit)
    if leading is not None and may_repeat_ids(leading):
        following = following.distinct()
    return session.execute(following).all()


def _select_next_ids(query: Select[Any], after: str | None, limit: int) -> Select[Any]:
    """The largest ids of a set that come after the cursor."""
    ids = query.subquery("candidates")
    return begin_after(select(ids.c.id), ids.c.id, after=after).limit(limit)


def _next_candidates_by_joining(
    session: Session,
    conditions: SegmentConditions,
    context: SegmentContext,
    after: str | None,
    limit: int,
) -> Sequence[tuple[Any, ...]]:
    """Subscribers created in the given time, in the order of that index, newest first."""
    keys = (Subscriber.created_at, Subscriber.id)
    query = select(*keys).where(
        *(
            matches_created_at(row, Subscriber.created_at, context)
            for row in conditions.rows
            if row.field == "joined"
        )
    )
    return session.execute(begin_after(query, *keys, after=after).limit(limit)).all()


def _filter_matching(
    session: Session,
    ids: Sequence[int],
    conditions: SegmentConditions,
    leading: SegmentCondition | None,
    context: SegmentContext,
) -> set[int]:
    """The ids among `ids` that match all conditions beside the leading one."""
    tests: list[ColumnElement[bool]] = [
        condition_matches(row, CURRENT_SUBSCRIBER_ID, context)
        for row in conditions.rows
        if row is not leading and not (leading and leading.field == row.field == "joined")
    ]
    if not tests:
        return set(ids)
    combined = and_(*tests) if conditions.match is ConditionMatch.ALL else or_(*tests)
    query = select(CURRENT_SUBSCRIBER_ID).where(_is_current_among(ids, context), combined)
    return set(session.scalars(query))


def _is_current_among(ids: Sequence[int], context: SegmentContext) -> ColumnElement[bool]:
    """Tests for membership with one parameter: thousands of them take longer than the search."""
    if not context.on_sqlite:
        return CURRENT_SUBSCRIBER_ID.bool_op("=")(func.any(literal(list(ids), ARRAY(BigInteger))))
    unpacked = func.json_each(literal(json.dumps(list(ids)))).table_valued("value")
    return CURRENT_SUBSCRIBER_ID.in_(select(unpacked.c.value))


def _summarize_subscribers(
    session: Session, candidates: Sequence[tuple[Any, ...]]
) -> list[SubscriberSummary]:
    """The summaries of these candidates, in the given order."""
    ids = [candidate[-1] for candidate in candidates]
    subscribers = {
        subscriber.id: subscriber
        for subscriber in session.scalars(select(Subscriber).where(Subscriber.id.in_(ids)))
    }
    lists: dict[int, list[tuple[str, SubscriptionState]]] = {}
    subscriptions = (
        select(Subscription.subscriber_id, MailingList.title, Subscription.state)
        .join(MailingList, MailingList.id == Subscription.list_id)
        .where(Subscription.subscriber_id.in_(ids))
        .order_by(MailingList.id)
    )
    for subscriber_id, title, state in session.execute(subscriptions):
        lists.setdefault(subscriber_id, []).append((title, state))
    addresses = [subscriber.canonical for subscriber in subscribers.values()]
    reasons = select(Suppression.canonical, Suppression.reason)
    suppressed = dict(session.execute(reasons.where(Suppression.canonical.in_(addresses))).all())
    return [
        SubscriberSummary(
            subscribers[id_], lists.get(id_, []), suppressed.get(subscribers[id_].canonical)
        )
        for id_ in ids
        if id_ in subscribers
    ]
