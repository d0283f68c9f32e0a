"""The provider's events lead to the same state in any order, repeated, and in posts of any size."""

import random
from time import perf_counter
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends.models import Attempt, ProviderEvent, SendEventCount
from nif.subscriptions.models import Suppression
from tests.factories import a_plain_send
from tests.sends.helpers import claim_in_session, process_events, sendgrid_event

KINDS = ["processed", "deferred", "delivered", "open", "bounce", "spamreport", "unsubscribe"]


def prove_events(database: Database, *, rounds: int, seed: int) -> dict[str, Any]:
    """Process the same events in so many random orders. The database stays as it was."""
    began, chance, wrong = perf_counter(), random.Random(seed), 0
    with Session(database.engine, expire_on_commit=False) as session:
        events = some_events(session)
        with session.begin_nested() as in_order:
            process_events(session, *events)
            expected = what_is_known(session)
            in_order.rollback()
        assert len(expected[0]) == 4
        for _ in range(rounds):
            shuffled = events + chance.choices(events, k=20)
            chance.shuffle(shuffled)
            with session.begin_nested() as one_way:
                while shuffled:
                    size = min(len(shuffled), chance.randint(1, 40))
                    process_events(session, *(shuffled.pop() for _ in range(size)))
                wrong += what_is_known(session) != expected
                one_way.rollback()
    return {
        "proof": "events",
        "database": database.engine.dialect.name,
        "seed": seed,
        "orders": rounds,
        "wrong": wrong,
        "seconds": round(perf_counter() - began, 1),
    }


def some_events(session: Session) -> list[dict[str, Any]]:
    """Many kinds of events about two sends, one of them to readers of the other."""
    events = []
    for _ in range(2):
        claimed = claim_in_session(session, a_plain_send(session, count=2).id)
        for reader, address in claimed.subscribers:
            about = {"email": address.upper()}
            events += [
                sendgrid_event(claimed.attempt_id, reader, event=kind, **about) for kind in KINDS
            ]
            events.append(
                sendgrid_event(claimed.attempt_id, reader, event="dropped", reason="Invalid")
            )
        events.append(sendgrid_event(None, sg_event_id=f"late-{address}", event="bounce", **about))
    return [
        *events,
        sendgrid_event("f" * 32),
        sendgrid_event(None),
        sendgrid_event(None, event="something new"),
    ]


def what_is_known(session: Session) -> tuple[Any, ...]:
    session.expire_all()
    heard = session.execute(select(Attempt.id, Attempt.event_seen_at).order_by(Attempt.id)).all()
    counts = session.execute(
        select(SendEventCount.send_id, SendEventCount.kind, SendEventCount.count)
    ).all()
    suppressed = session.execute(select(Suppression.canonical, Suppression.reason)).all()
    kept = session.scalar(select(func.count()).select_from(ProviderEvent))
    return sorted(map(tuple, suppressed)), heard, sorted(map(tuple, counts)), kept
