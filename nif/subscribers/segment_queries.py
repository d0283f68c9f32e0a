"""Conditions as expressions of the database: sets of ids, and what holds of one id.

A set is read from an index that begins with what is asked for; what holds of one id is found by
that id. So neither looks through a table.

How many a segment has: one statement over sets.

Every question is turned into one of two that an index can begin: all of some conditions of which
one is no denial, or any of some of which none is. The rest follows by taking from everyone.

Pages of subscribers, the newest first, by conditions.

Candidates come in the order of an index, a thousand at a time, and are tried by their ids. One
page looks through ten thousand at most: where few fit, it says how far it came, and the next goes
on from there. So no page waits for a million rows, whatever is asked.

By which ways consents came.
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

from nif.errors import NotFound
from nif.sends.activity import CLICK_EVENT, was_active_since
from nif.sends.models import ProviderEvent
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
"""A subscriber's row, looked up by an id that comes from elsewhere."""

CURRENT_SUBSCRIBER_ID = Subscriber.__table__.c.id
"""The id of a row of subscribers that is at hand: what stands in it need not be looked up."""

IdQuery = Select[Any]


@dataclass(frozen=True)
class SegmentContext:
    """What conditions are read against: the lists, the clock of the house, how far the search is.

    `lists` are by slug, `sizes` their kept counters by slug and state.
    """

    lists: Mapping[str, int]
    sizes: Mapping[tuple[str, str], int]
    zone: ZoneInfo
    mark: int
    on_sqlite: bool


def load_segment_context(session: Session, zone: str) -> SegmentContext:
    """Read what conditions are read against: a row for each list, and the mark."""
    lists = session.scalars(select(MailingList)).all()
    sizes = {
        (one.slug, state.value): getattr(one, f"{state.value}_count")
        for one in lists
        for state in SubscriptionState
    }
    ids = {one.slug: one.id for one in lists}
    on_sqlite = session.get_bind().dialect.name == "sqlite"
    return SegmentContext(
        ids, sizes, ZoneInfo(zone), address_index.get_indexed_through(session), on_sqlite
    )


def select_matching_ids(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    """The ids of which a condition holds, or which it denies where it is a denial.

    The column is called `id`. An id may come twice where `comes_twice` says so.
    """
    return _ID_QUERIES[condition.field](condition, ground)


def may_repeat_ids(condition: SegmentCondition) -> bool:
    return condition.field in {"source", "life"}


def condition_matches(
    condition: SegmentCondition, who: ColumnElement[int], ground: SegmentContext
) -> ColumnElement[bool]:
    """Does a condition hold of the id `who`?"""
    found = _MATCHERS[condition.field](condition, who, ground)
    return ~found if condition.is_denial else found


def _start_of_day(condition: SegmentCondition, ground: SegmentContext) -> datetime:
    return datetime.combine(date.fromisoformat(condition.value), time(), ground.zone)


def _ids_by_address(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    new = address_index.select_unindexed_matches(condition.value, ground.mark)
    known = address_index.select_indexed_matches(condition.value, on_sqlite=ground.on_sqlite)
    return select(union_all(known, new).subquery("found").c.id)


def _matches_address(
    condition: SegmentCondition, who: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    if who is CURRENT_SUBSCRIBER_ID:
        return Subscriber.canonical.contains(condition.value, autoescape=True)
    part = _SubscriberById.canonical.contains(condition.value, autoescape=True)
    return select(_SubscriberById.id).where(_SubscriberById.id == who, part).exists()


def _state_of_condition(condition: SegmentCondition) -> SubscriptionState:
    return SubscriptionState(condition.said.denies or condition.operator)


def _ids_by_list(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    return select(Subscription.subscriber_id.label("id")).where(
        Subscription.list_id == ground.lists.get(condition.value, 0),
        Subscription.state == _state_of_condition(condition),
    )


def _matches_list(
    condition: SegmentCondition, who: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    return (
        select(Subscription.list_id)
        .where(
            Subscription.subscriber_id == who,
            Subscription.list_id == ground.lists.get(condition.value, 0),
            Subscription.state == _state_of_condition(condition),
        )
        .exists()
    )


def matches_created_at(
    condition: SegmentCondition, created_at: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    """When a subscriber came, as a condition on that column of their row."""
    at = _start_of_day(condition, ground)
    then: ColumnElement[bool] = created_at >= at
    return then if condition.operator == "since" else ~then


def _ids_by_joining(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    then = matches_created_at(condition, Subscriber.created_at, ground)
    return select(Subscriber.id.label("id")).where(then)


def _matches_joining(
    condition: SegmentCondition, who: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    if who is CURRENT_SUBSCRIBER_ID:
        return matches_created_at(condition, Subscriber.created_at, ground)
    then = matches_created_at(condition, _SubscriberById.created_at, ground)
    return select(_SubscriberById.id).where(_SubscriberById.id == who, then).exists()


def _ids_by_source(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    return select(Consent.subscriber_id.label("id")).where(Consent.source == condition.value)


def _matches_source(
    condition: SegmentCondition, who: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    return (
        select(Consent.id)
        .where(Consent.subscriber_id == who, Consent.source == condition.value)
        .exists()
    )


def _ids_by_activity(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    at = _start_of_day(condition, ground)
    acts = select(Consent.subscriber_id.label("id")).where(Consent.at >= at, is_reader_action())
    clicks = select(ProviderEvent.subscriber_id.label("id")).where(
        ProviderEvent.kind == CLICK_EVENT,
        ProviderEvent.happened_at >= at,
        ProviderEvent.subscriber_id.is_not(None),
    )
    return select(union_all(acts, clicks).subquery("alive").c.id)


def _matches_activity(
    condition: SegmentCondition, who: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    return was_active_since(who, _start_of_day(condition, ground))


def _ids_by_suppression(condition: SegmentCondition, ground: SegmentContext) -> IdQuery:
    found = select(Subscriber.id.label("id")).join(
        Suppression, Suppression.canonical == Subscriber.canonical
    )
    return found if condition.value == ANY_REASON else found.where(_matches_reason(condition))


def _matches_suppression(
    condition: SegmentCondition, who: Any, ground: SegmentContext
) -> ColumnElement[bool]:
    if who is CURRENT_SUBSCRIBER_ID:
        found = select(Suppression.at).where(Suppression.canonical == Subscriber.canonical)
    else:
        known = Suppression.canonical == _SubscriberById.canonical
        found = select(Suppression.at).join(_SubscriberById, known).where(_SubscriberById.id == who)
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
    "life": _ids_by_activity,
    "suppressed": _ids_by_suppression,
}
_MATCHERS: Mapping[str, Callable[[SegmentCondition, Any, SegmentContext], ColumnElement[bool]]] = {
    "address": _matches_address,
    "list": _matches_list,
    "joined": _matches_joining,
    "source": _matches_source,
    "life": _matches_activity,
    "suppressed": _matches_suppression,
}


FIELDS_BY_SIZE = ("suppressed", "address", "list", "life", "joined", "source")


def count_matching(session: Session, asked: SegmentConditions, ground: SegmentContext) -> int:
    """How many subscribers a segment has now."""
    denials = [row for row in asked.rows if row.is_denial]
    if not asked.rows:
        return _count_everyone(session)
    if asked.match is ConditionMatch.ALL:
        if len(denials) == len(asked.rows):
            return _count_everyone(session) - _count_matching_any(session, asked.rows, ground)
        return _count_matching_all(session, asked.rows, ground, reverse=False)
    if not denials:
        return _count_matching_any(session, asked.rows, ground)
    return _count_everyone(session) - _count_matching_all(session, asked.rows, ground, reverse=True)


def rank_by_size(condition: SegmentCondition, ground: SegmentContext) -> tuple[int, int]:
    """Which set to begin with: the one that is likely to be the smallest."""
    size = ground.sizes.get((condition.value, condition.said.denies or condition.operator), 0)
    return FIELDS_BY_SIZE.index(condition.field), size


def _count_everyone(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Subscriber)) or 0


def _count_matching_any(
    session: Session, rows: Sequence[SegmentCondition], ground: SegmentContext
) -> int:
    """How many of whom any holds; denials are read as what they deny."""
    sets: list[Select[tuple[int]]] = [select_matching_ids(row, ground) for row in rows]
    if len(sets) == 1 and not may_repeat_ids(rows[0]):
        query: Select[tuple[int]] | CompoundSelect[tuple[int]] = sets[0]
    else:
        query = union(*sets) if len(sets) > 1 else sets[0].distinct()
    return session.scalar(select(func.count()).select_from(query.subquery("some"))) or 0


def _count_matching_all(
    session: Session, rows: Sequence[SegmentCondition], ground: SegmentContext, *, reverse: bool
) -> int:
    """How many of whom all hold; where it is `reverse`, of whom none holds."""
    can_begin = [row for row in rows if row.is_denial is reverse]
    first = min(can_begin, key=lambda row: rank_by_size(row, ground))
    begin = select_matching_ids(first, ground)
    some = (begin.distinct() if may_repeat_ids(first) else begin).subquery("some")
    tests = [condition_matches(row, some.c.id, ground) for row in rows if row is not first]
    found = select(func.count()).select_from(some)
    return session.scalar(found.where(*(~test if reverse else test for test in tests))) or 0


SUBSCRIBERS_PER_PAGE = 50
MAX_CANDIDATES = 10_000
CANDIDATE_STEPS = (100, 900, 3_000, 3_000, 3_000)
"""How many candidates are tried at a time; together they are LOOK."""

PagePosition = tuple[datetime | None, int]
"""Where a page begins: below this id, or below this moment and id where the order is by joining."""


@dataclass(frozen=True)
class SubscriberSummary:
    """A subscriber as a line shows them."""

    subscriber: Subscriber
    lists: Sequence[tuple[str, SubscriptionState]]
    suppressed: SuppressionReason | None


@dataclass(frozen=True)
class SubscriberPage:
    """Some subscribers. `after` is where the next page begins; `looked` says that this one stopped
    because it had looked through LOOK of them, and not because it was full."""

    people: Sequence[SubscriberSummary]
    after: str | None
    looked: bool = False


def search_subscribers(
    session: Session, asked: SegmentConditions, ground: SegmentContext, *, after: str | None = None
) -> SubscriberPage:
    """A page of those of whom the conditions hold. Raises NotFound for a place that cannot be."""
    begin = _choose_leading_condition(asked, ground)
    found: list[PagePosition] = []
    place = _parse_position(after) if after else None
    for step in CANDIDATE_STEPS:
        places = _next_candidates(session, asked, begin, ground, place, step)
        fitting = _filter_matching(session, [one[1] for one in places], asked, begin, ground)
        found += [one for one in places if one[1] in fitting]
        if len(found) > SUBSCRIBERS_PER_PAGE:
            return SubscriberPage(
                _summarize_subscribers(session, found[:SUBSCRIBERS_PER_PAGE]),
                _format_position(found[SUBSCRIBERS_PER_PAGE - 1]),
            )
        if len(places) < step:
            return SubscriberPage(_summarize_subscribers(session, found), None)
        place = places[-1]
    return SubscriberPage(
        _summarize_subscribers(session, found), _format_position(places[-1]), looked=True
    )


def _choose_leading_condition(
    asked: SegmentConditions, ground: SegmentContext
) -> SegmentCondition | None:
    """The condition whose index gives the candidates; None where everyone is one."""
    if asked.match is ConditionMatch.ANY:
        return None
    by_field = {"address": 1, "joined": 2, "list": 3, "source": 4}
    ranked: list[tuple[int, int, int, SegmentCondition]] = []
    for row in asked.rows:
        if row.is_denial or row.field not in by_field:
            continue
        size = ground.sizes.get((row.value, row.operator), 0)
        is_small = row.field == "list" and size <= MAX_CANDIDATES
        ranked.append((0 if is_small else by_field[row.field], size, len(ranked), row))
    return min(ranked)[3] if ranked else None


def _next_candidates(
    session: Session,
    asked: SegmentConditions,
    begin: SegmentCondition | None,
    ground: SegmentContext,
    place: PagePosition | None,
    most: int,
) -> list[PagePosition]:
    if begin is not None and begin.field == "joined":
        return _next_candidates_by_joining(session, asked, ground, place, most)
    below = place[1] if place else None
    if begin is not None and begin.field == "address":
        new = _select_ids_below(
            address_index.select_unindexed_matches(begin.value, ground.mark), below, most
        )
        ids = list(session.scalars(new))
        if len(ids) < most:
            known = address_index.select_indexed_matches(begin.value, on_sqlite=ground.on_sqlite)
            ids += session.scalars(_select_ids_below(known, below, most - len(ids)))
    else:
        query = (
            select(Subscriber.id.label("id"))
            if begin is None
            else select_matching_ids(begin, ground)
        )
        is_twice = begin is not None and may_repeat_ids(begin)
        ids = list(session.scalars(_select_ids_below(query, below, most, distinct=is_twice)))
    return [(None, one) for one in ids]


def _select_ids_below(
    query: Select[Any], below: int | None, most: int, *, distinct: bool = False
) -> Select[Any]:
    """The next ids of a set, the largest first."""
    ids = query.subquery("candidates")
    found = select(ids.c.id).order_by(ids.c.id.desc()).limit(most)
    found = found if below is None else found.where(ids.c.id < below)
    return found.distinct() if distinct else found


def _next_candidates_by_joining(
    session: Session,
    asked: SegmentConditions,
    ground: SegmentContext,
    place: PagePosition | None,
    most: int,
) -> list[PagePosition]:
    """Who joined in a time, by the index of when: those who came last first."""
    created_at = Subscriber.created_at
    query = select(created_at, Subscriber.id).where(
        *(
            matches_created_at(row, created_at, ground)
            for row in asked.rows
            if row.field == "joined"
        )
    )
    if place:
        if place[0] is None:
            raise NotFound("There is no such page.")
        same = and_(created_at == place[0], Subscriber.id < place[1])
        query = query.where(created_at <= place[0], or_(created_at < place[0], same))
    query = query.order_by(created_at.desc(), Subscriber.id.desc()).limit(most)
    return [(row[0], row[1]) for row in session.execute(query)]


def _filter_matching(
    session: Session,
    ids: Sequence[int],
    asked: SegmentConditions,
    begin: SegmentCondition | None,
    ground: SegmentContext,
) -> set[int]:
    """Of which of a few ids the conditions hold."""
    tests: list[ColumnElement[bool]] = [
        condition_matches(row, CURRENT_SUBSCRIBER_ID, ground)
        for row in asked.rows
        if row is not begin and not (begin and begin.field == row.field == "joined")
    ]
    if not tests:
        return set(ids)
    joined = and_(*tests) if asked.match is ConditionMatch.ALL else or_(*tests)
    query = select(CURRENT_SUBSCRIBER_ID).where(_is_current_among(ids, ground), joined)
    return set(session.scalars(query))


def _is_current_among(ids: Sequence[int], ground: SegmentContext) -> ColumnElement[bool]:
    """Is a subscriber one of these? All in one parameter: thousands take longer than the search."""
    if not ground.on_sqlite:
        return CURRENT_SUBSCRIBER_ID.bool_op("=")(func.any(literal(list(ids), ARRAY(BigInteger))))
    given = func.json_each(literal(json.dumps(list(ids)))).table_valued("value")
    return CURRENT_SUBSCRIBER_ID.in_(select(given.c.value))


def _summarize_subscribers(
    session: Session, places: Sequence[PagePosition]
) -> list[SubscriberSummary]:
    """Those people with what their line says, in this order."""
    ids = [one[1] for one in places]
    people = {
        one.id: one for one in session.scalars(select(Subscriber).where(Subscriber.id.in_(ids)))
    }
    lists: dict[int, list[tuple[str, SubscriptionState]]] = {}
    on = (
        select(Subscription.subscriber_id, MailingList.title, Subscription.state)
        .join(MailingList, MailingList.id == Subscription.list_id)
        .where(Subscription.subscriber_id.in_(ids))
        .order_by(MailingList.id)
    )
    for subscriber_id, title, state in session.execute(on):
        lists.setdefault(subscriber_id, []).append((title, state))
    addresses = [one.canonical for one in people.values()]
    why = select(Suppression.canonical, Suppression.reason)
    suppressed = dict(session.execute(why.where(Suppression.canonical.in_(addresses))).all())
    return [
        SubscriberSummary(people[one], lists.get(one, []), suppressed.get(people[one].canonical))
        for one in ids
        if one in people
    ]


def _format_position(place: PagePosition) -> str:
    moment, subscriber_id = place
    return f"{moment.isoformat()}~{subscriber_id}" if moment else str(subscriber_id)


def _parse_position(after: str) -> PagePosition:
    """Raises NotFound."""
    moment, _, number = after.rpartition("~")
    try:
        place = (datetime.fromisoformat(moment) if moment else None, int(number))
    except ValueError:
        raise NotFound("There is no such page.") from None
    of_an_age = place[0] is None or (place[0].tzinfo is not None and 1970 <= place[0].year < 9999)
    if not 0 < place[1] < 2**63 or not of_an_age:
        raise NotFound("There is no such page.")
    return place


MAX_SOURCES = 50


def list_consent_sources(session: Session) -> Sequence[str]:
    """The sources of consents, in order: from each straight to the next one in the index."""
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
