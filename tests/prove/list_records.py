"""What the database says about lists and subscribers, and whether it agrees with the model."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.subscriptions.models import Consent, MailingList, Subscriber, Subscription, Suppression
from nif.subscriptions.suppression_list import ERASED_HASH_PREFIX
from tests.prove.promises import BY_SEVERITY, OWN_WISH, Key, Promises

STATES = ("pending", "confirmed", "unsubscribed")


@dataclass(frozen=True)
class Entry:
    """An entry in the record of consent."""

    id: int
    key: Key
    action: str
    at: datetime
    wording: str | None
    source: str
    network: str


@dataclass(frozen=True)
class ListRecords:
    states: dict[Key, str]
    counters: dict[str, tuple[int, ...]]
    consents: list[Entry]
    suppressed: dict[str, tuple[str, datetime]]
    spelled: dict[str, str]
    hashes: int = 0


def read_list_records(session: Session) -> ListRecords:
    """Read everything by plain queries, and not by the rules under test."""
    lists = {one.id: one for one in session.scalars(select(MailingList))}
    people = {one.id: one for one in session.scalars(select(Subscriber))}

    def key(one: Subscription | Consent) -> Key:
        return people[one.subscriber_id].canonical, lists[one.list_id].slug

    return ListRecords(
        states={key(one): one.state.value for one in session.scalars(select(Subscription))},
        counters={
            one.slug: (one.pending_count, one.confirmed_count, one.unsubscribed_count)
            for one in lists.values()
        },
        consents=[
            Entry(one.id, key(one), one.action.value, one.at, one.wording, one.source, one.network)
            for one in session.scalars(select(Consent).order_by(Consent.id))
        ],
        suppressed={
            one.canonical: (one.reason.value, one.at)
            for one in session.scalars(select(Suppression))
            if not one.canonical.startswith(ERASED_HASH_PREFIX)
        },
        hashes=session.query(Suppression)
        .where(Suppression.canonical.startswith(ERASED_HASH_PREFIX))
        .count(),
        spelled={one.canonical: one.address for one in people.values()},
    )


def disagreements(books: ListRecords, promises: Promises) -> list[str]:
    """Where the records contradict the promises, or each other."""
    told: dict[Key, list[tuple[str, datetime]]] = {}
    for entry in books.consents:
        told.setdefault(entry.key, []).append((entry.action, entry.at))
    standings = promises.standings.items()
    recount = Counter((slug, state) for (_, slug), state in books.states.items())
    counted = {slug: tuple(recount[slug, state] for state in STATES) for slug in books.counters}
    agree = {
        "states": books.states == {key: one.state for key, one in standings},
        "record of consent": told == {key: one.said for key, one in standings},
        "suppressions": books.suppressed == promises.suppressed,
        "hashes of the erased": books.hashes == len(promises.erased),
        "spellings": {**books.spelled, **promises.spelled} == books.spelled,
        "counters": books.counters == counted,
        "consent of everyone on a list": all(
            _has_agreed(told.get(key, []))
            for key, state in books.states.items()
            if state == "confirmed"
        ),
    }
    return [what for what, is_so in agree.items() if not is_so]


def _has_agreed(said: list[tuple[str, datetime]]) -> bool:
    """Did someone confirm, and not unsubscribe since?"""
    decisive = [action for action, _ in said if action in {"confirmed", "unsubscribed"}]
    return decisive[-1:] == ["confirmed"]


class RecordHistory:
    """The records after the previous step, to see what changed since."""

    def __init__(self) -> None:
        self._consents: list[Entry] = []
        self._suppressed: dict[str, tuple[str, datetime]] = {}

    def offences(self, books: ListRecords, erased: Collection[str] = ()) -> list[str]:
        """What changed since the last step that must never change, except by an erasure."""
        self._consents = [one for one in self._consents if one.key[0] not in erased]
        before = len(self._consents)
        fresh = {one.key[0] for one in books.consents[before:] if one.action == "confirmed"}
        lost = [] if books.consents[:before] == self._consents else ["a record was changed"]
        lost += [
            f"{who}, suppressed as {reason}, is so no more"
            for who, (reason, _) in self._suppressed.items()
            if who not in erased and _is_lighter(books.suppressed.get(who), reason, who in fresh)
        ]
        self._consents, self._suppressed = books.consents, books.suppressed
        return lost


def _is_lighter(now: tuple[str, datetime] | None, before: str, came_back: bool) -> bool:
    """Only a new confirmation ends a suppression, and only one by unsubscribing."""
    if now is None:
        return not (before == OWN_WISH and came_back)
    return BY_SEVERITY.index(now[0]) < BY_SEVERITY.index(before)
