"""Editions beside the last ones: what became of each, from counters that are kept."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from nif.editions.models import Edition
from nif.sends.events import Report
from nif.sends.models import Batch, BatchState, Send, SendState
from nif.sends.rating import Rates, of_reports
from nif.subscriptions.days import DayCount, Happening, day_of
from nif.subscriptions.models import MailingList

TRACKED = ("open", "click")


@dataclass(frozen=True)
class Compared:
    """A send in figures.

    `left` counts those who left its list from the day on which it began until the next one of the
    list began: no link to leave says in which mail it stood.
    """

    send_id: int
    list_id: int
    list_title: str
    subject: str
    starts_at: datetime
    day: date
    state: SendState
    audience: int
    mailed: int
    reported: dict[str, int]
    left: int

    @property
    def rates(self) -> Rates:
        return of_reports(self.reported)

    @property
    def delivered(self) -> int:
        return self.reported.get("delivered", 0)

    @property
    def is_tracked(self) -> bool:
        """Did anybody's mail program tell of an opening or a click?"""
        return any(self.reported.get(kind) for kind in TRACKED)


def compare(
    session: Session, lists: Sequence[MailingList], *, most: int, now: datetime
) -> list[Compared]:
    """The newest sends of some lists that have begun, newest first."""
    titles = {one.id: one.title for one in lists}
    rows = session.execute(
        select(Send.id, Send.edition_id, Send.list_id, Send.starts_at, Send.state, Send.audience)
        .where(_of(list(titles)), Send.starts_at <= now)
        .order_by(Send.id.desc())
        .limit(most)
    ).all()
    if not rows:
        return []
    ids = [row.id for row in rows]
    mailed, reported = _mailed(session, ids), _reported(session, ids)
    subjects = _subjects(session, [row.edition_id for row in rows])
    days = {row.id: day_of(session, row.starts_at) for row in rows}
    left = _left(session, titles, min(days.values()))
    ends: dict[int, date] = {}
    found = []
    for send_id, edition_id, list_id, starts_at, state, audience in rows:
        day, end = days[send_id], ends.get(list_id, date.max)
        ends[list_id] = day
        found.append(
            Compared(
                send_id,
                list_id,
                titles[list_id],
                subjects.get(edition_id) or "",
                starts_at,
                day,
                state,
                audience,
                mailed.get(send_id, 0),
                reported.get(send_id, {}),
                _between(left.get(list_id, {}), day, max(end, day + timedelta(days=1))),
            )
        )
    return found


def _of(list_ids: Sequence[int]) -> ColumnElement[bool]:
    """Of several lists the newest sends are found by their ids: else SQLite would sort them all."""
    if len(list_ids) == 1:
        return Send.list_id == list_ids[0]
    return (Send.list_id + 0).in_(list_ids)


def _subjects(session: Session, edition_ids: Sequence[int]) -> dict[int, str]:
    """Without the rest of the messages, which is a hundred times as long."""
    query = select(Edition.id, Edition.message["subject"].as_string())
    return dict(session.execute(query.where(Edition.id.in_(edition_ids))).all())


def _between(left: dict[date, int], first: date, end: date) -> int:
    return sum(count for day, count in left.items() if first <= day < end)


def _mailed(session: Session, ids: Sequence[int]) -> dict[int, int]:
    """How many mails of each send the provider took."""
    taken = func.sum(Batch.size - Batch.dropped - Batch.refused - Batch.unwritable)
    query = (
        select(Batch.send_id, taken)
        .where(Batch.send_id.in_(ids), Batch.state == BatchState.ACCEPTED)
        .group_by(Batch.send_id)
    )
    return {send_id: int(count) for send_id, count in session.execute(query)}


def _reported(session: Session, ids: Sequence[int]) -> dict[int, dict[str, int]]:
    query = select(Report.send_id, Report.kind, Report.count).where(Report.send_id.in_(ids))
    found: dict[int, dict[str, int]] = {}
    for send_id, kind, count in session.execute(query):
        found.setdefault(send_id, {})[kind] = count
    return found


def _left(session: Session, list_ids: Collection[int], first: date) -> dict[int, dict[date, int]]:
    """How many left each list on each day."""
    query = select(DayCount.list_id, DayCount.day, DayCount.count).where(
        DayCount.list_id.in_(list_ids), DayCount.day >= first, DayCount.what == Happening.LEFT
    )
    found: dict[int, dict[date, int]] = {}
    for list_id, day, count in session.execute(query):
        found.setdefault(list_id, {})[day] = count
    return found
