"""Writing a piece of a file into the house: a table in passing, and from there set by set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    CursorResult,
    Select,
    String,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from nif.database import UtcDateTime, insert_into, table_of
from nif.importing.models import ImportRow, ImportRun
from nif.importing.staging import UNTOUCHED, Change, fill_stage, find_the_others, stage
from nif.subscriptions.consenting import keep_wording
from nif.subscriptions.counting import Move, move_many
from nif.subscriptions.models import (
    Consent,
    ConsentAction,
    Subscriber,
    Subscription,
    SubscriptionState,
    SuppressionReason,
)
from nif.subscriptions.suppressing import add

CONFIRMED, PENDING, LEFT = (
    SubscriptionState.CONFIRMED,
    SubscriptionState.PENDING,
    SubscriptionState.LEFT,
)

COLUMNS = ("subscriber_id", "list_id", "state", "asked_at", "confirmed_at", "left_at")


@dataclass
class Changes:
    """What a piece of a file does: to subscriptions, and who is to be suppressed why."""

    people: list[Change] = field(default_factory=list)
    suppressed: dict[str, SuppressionReason] = field(default_factory=dict)


def merge(session: Session, run: ImportRun, changes: Changes, *, now: datetime) -> None:
    """Write it all, and count it on the list.

    Whatever has moved since it was looked up stays as it is.
    """
    add(session, changes.suppressed, source=run.source, now=now)
    if not changes.people:
        return
    fill_stage(session, changes.people)
    fresh = sum(one.person is None for one in changes.people)
    if _written(session, _people(session, now)) < fresh:
        find_the_others(session)
    moves: dict[Move, int] = {}
    for state in {one.after for one in changes.people if one.before is None}:
        moves[None, state] = _join(session, run, state, now)
    for (before, after), people in _by_move(changes.people).items():
        moves[before, after] = _move(session, run, people, now)
    if sum(moves.values()) < len(changes.people):
        session.execute(_forget_who_moved(run), execution_options=UNTOUCHED)
    session.execute(_consents(session, run, now))
    _note_rows(session, run)
    move_many(session, run.list_id, moves, source=run.source, now=now)


def _by_move(
    people: Sequence[Change],
) -> dict[tuple[SubscriptionState, SubscriptionState], list[Change]]:
    moves: dict[tuple[SubscriptionState, SubscriptionState], list[Change]] = {}
    for one in people:
        if one.before is not None:
            moves.setdefault((one.before, one.after), []).append(one)
    return moves


def _written(
    session: Session, statement: Any, rows: Sequence[Mapping[str, Any]] | None = None
) -> int:
    """Write rows; returns how many there were."""
    result = session.execute(statement, rows, execution_options=UNTOUCHED)
    return cast("CursorResult[Any]", result).rowcount


def _ignoring(session: Session, model: Any, columns: Sequence[str], rows: Any) -> Any:
    """An INSERT of rows that passes over those that are there."""
    return insert_into(session, model).from_select(columns, rows).on_conflict_do_nothing()


def _people(session: Session, now: datetime) -> Any:
    rows = (
        select(stage.c.person, stage.c.address, stage.c.canonical, literal(now, UtcDateTime))
        .where(stage.c.made)
        # In one order, so that two who do this at once cannot wait for each other.
        .order_by(stage.c.canonical)
    )
    return _ignoring(session, Subscriber, ["id", "address", "canonical", "created_at"], rows)


def _join(session: Session, run: ImportRun, state: SubscriptionState, now: datetime) -> int:
    """Make the subscriptions that are new; returns how many there were.

    Of those who are new to the house nobody can have one: asking for it again costs a fifth more.
    """
    rows = _subscriptions(run, state, now)
    made = insert(Subscription).from_select(COLUMNS, rows.where(stage.c.made))
    known = _ignoring(session, Subscription, COLUMNS, rows.where(~stage.c.made))
    return _written(session, made) + _written(session, known)


def _subscriptions(run: ImportRun, state: SubscriptionState, now: datetime) -> Select[Any]:
    at = literal(now, UtcDateTime)
    since = func.coalesce(stage.c.since, at)
    # Who is pending has yet to be asked, and waits for that from now on.
    asked_at = at if state is PENDING else since
    return (
        select(
            stage.c.person,
            literal(run.list_id),
            stage.c.after,
            asked_at,
            since if state is CONFIRMED else null(),
            func.coalesce(stage.c.ended, at) if state is LEFT else null(),
        )
        .where(stage.c.before.is_(None), stage.c.after == state)
        .order_by(stage.c.person)
    )


def _move(session: Session, run: ImportRun, people: Sequence[Change], now: datetime) -> int:
    """Move people from one state to another; returns how many there were.

    Only from the state in which they were found: who has moved since has the last word. One by
    one, because PostgreSQL takes a join with a table in passing for cheap, and reads the whole.
    """
    theirs, after = table_of(Subscription), people[0].after
    moment = "left_at" if after is LEFT else "confirmed_at"
    statement = (
        update(theirs)
        .where(
            theirs.c.subscriber_id == bindparam("person"),
            theirs.c.list_id == run.list_id,
            theirs.c.state == people[0].before,
        )
        .values({"state": after, moment: bindparam("at")})
    )
    rows = [
        {"person": one.person, "at": (one.ended if after is LEFT else one.since) or now}
        for one in people
    ]
    return _written(session, statement, rows)


def _forget_who_moved(run: ImportRun) -> Any:
    """Take those off the stage who have, in this very moment, done something themselves."""
    theirs = table_of(Subscription).c
    as_meant = (
        select(theirs.state)
        .where(
            theirs.subscriber_id == stage.c.person,
            theirs.list_id == run.list_id,
            theirs.state == stage.c.after,
        )
        .exists()
    )
    return delete(stage).where(~as_meant)


def _consents(session: Session, run: ImportRun, now: datetime) -> Any:
    kind = table_of(Consent).c.action.type
    version = keep_wording(session, run.basis, now=now) if run.basis else None
    left = stage.c.after == LEFT
    rows = select(
        stage.c.person,
        literal(run.list_id),
        case(
            (left, literal(ConsentAction.LEFT, kind)), else_=literal(ConsentAction.IMPORTED, kind)
        ),
        literal(now, UtcDateTime),
        case((left, null()), else_=literal(version, String)),
        literal(run.source),
        literal("unknown"),
    ).order_by(stage.c.person)
    columns = ["subscriber_id", "list_id", "action", "at", "wording", "source", "network"]
    return insert(Consent).from_select(columns, rows)


def _note_rows(session: Session, run: ImportRun) -> None:
    """What was done to whom. Who is new to the house was in no piece before."""
    columns = ("run_id", "subscriber_id", "made", "before", "after")
    rows = select(
        literal(run.id), stage.c.person, stage.c.made, stage.c.before, stage.c.after
    ).order_by(stage.c.person)
    session.execute(insert(ImportRow).from_select(columns, rows.where(stage.c.made)))
    known = insert_into(session, ImportRow).from_select(columns, rows.where(~stage.c.made))
    session.execute(
        known.on_conflict_do_update(
            index_elements=[ImportRow.run_id, ImportRow.subscriber_id],
            set_={"after": known.excluded.after},
        )
    )
