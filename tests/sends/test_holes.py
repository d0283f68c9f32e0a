"""Ways to mail twice, or nobody, that a reading of the protocol found: each one stays closed."""

from dataclasses import replace
from datetime import timedelta
from threading import Thread

import pytest
from sqlalchemy.exc import OperationalError

from nif.database import Database
from nif.mail.mailer import Problem, Refused, Unavailable
from nif.sends import settling, steering
from nif.sends.claiming import claim
from nif.sends.delivering import Courier, deliver
from nif.sends.models import EventPost, SendState
from nif.sends.reconciling import reconcile
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.ledger import (
    LEASE,
    attempts,
    claimed,
    count,
    event,
    get,
    outcomes,
    planned,
    report,
    states,
)

QUIET = timedelta(minutes=30)


def look(database: Database, *, now: object) -> None:
    reconcile(database.transaction, FakeMailer(), quiet_period=QUIET, now=now)


def in_doubt(database: Database) -> object:
    taken = claimed(database, planned(database, count=3))
    with database.transaction() as session:
        settling.uncertain(session, taken.attempt_id, "no answer", now=NOON)
    return taken


def test_a_refusal_that_names_nobody_is_nobodys_fault(
    database: Database, courier: Courier, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=200)
    mailer.raises.extend(Refused(400, [Problem("Bad Request")]) for _ in range(400))
    deliver(courier, send_id)

    assert get(database, send_id).state is SendState.PAUSED
    assert mailer.posts <= settling.REFUSALS_IN_A_ROW
    assert set(outcomes(database, send_id).values()) == {"planned"}

    mailer.raises.clear()
    with database.transaction() as session:
        steering.resume(session, steering.get_send(session, send_id))
    deliver(courier, send_id)
    assert sorted(mailer.addresses()) == sorted(set(mailer.addresses()))
    assert count(database, send_id).accepted == 200


def test_a_header_that_is_refused_is_the_mails_fault_and_not_a_readers(
    database: Database, courier: Courier, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=5)
    mailer.raises.append(
        Refused(400, [Problem("Bad header", "personalizations.0.headers.List-Unsubscribe")])
    )
    deliver(courier, send_id)

    assert get(database, send_id).state is SendState.PAUSED
    assert set(outcomes(database, send_id).values()) == {"planned"}


def test_news_after_an_outage_of_the_webhook_releases_nothing_at_once(
    database: Database,
) -> None:
    taken = in_doubt(database)
    evening = NOON + timedelta(hours=6)
    later = claimed(database, planned(database, count=1, now=evening), now=evening)
    report(database, event(later.attempt_id), now=evening + timedelta(seconds=30))

    look(database, now=evening + timedelta(minutes=1))
    assert states(database, taken.send_id) == ["uncertain"]
    look(database, now=evening + timedelta(minutes=32))
    assert states(database, taken.send_id) == ["planned"]


def test_a_backlog_that_comes_in_late_is_no_sign_of_life(database: Database) -> None:
    taken = in_doubt(database)
    later = claimed(database, planned(database, count=1), now=NOON + timedelta(minutes=1))
    report(database, event(later.attempt_id), now=NOON + timedelta(hours=3))

    look(database, now=NOON + timedelta(hours=4))
    assert states(database, taken.send_id) == ["uncertain"]


def test_a_clock_that_jumps_does_not_release_what_is_under_way(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))
    later = claimed(database, planned(database, count=1), now=NOON + timedelta(seconds=5))
    report(database, event(later.attempt_id), now=NOON + timedelta(seconds=20))

    look(database, now=NOON + timedelta(hours=1))
    assert states(database, taken.send_id) == ["uncertain"]


@pytest.mark.parametrize("proof", ["event", "answer"])
def test_proof_that_comes_after_the_release_still_counts(database: Database, proof: str) -> None:
    taken = in_doubt(database)
    with database.transaction() as session:
        settling.released(session, taken.attempt_id, "no event came", now=NOON)
    if proof == "event":
        report(database, event(taken.attempt_id))
    else:
        with database.transaction() as session:
            settling.accepted(session, taken.attempt_id, None, now=NOON)

    with database.transaction() as session:
        assert claim(session, taken.send_id, lease=LEASE, now=NOON) is None
    assert states(database, taken.send_id) == ["accepted"]


def test_answers_are_written_down_though_the_ledger_failed_in_between(
    database: Database,
    courier: Courier,
    mailer: FakeMailer,
    by_sevens: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send_id = planned(database, count=21)
    real, calls = database.transaction, []

    def failing():  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) in {3, 5}:
            raise OperationalError("commit", {}, Exception("locked"))
        return real()

    monkeypatch.setattr("nif.sends.delivering.PAUSES", (0.0, 0.0))
    broken = replace(courier, transaction=failing)
    for _ in range(3):
        try:
            deliver(broken, send_id)
        except OperationalError:
            continue

    assert sorted(mailer.addresses()) == sorted(set(mailer.addresses()))
    assert "intent" not in states(database, send_id)


def test_a_person_who_paused_is_not_contradicted_by_a_late_failure(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))
    with database.transaction() as session:
        steering.pause(session, steering.get_send(session, taken.send_id))
    with database.transaction() as session:
        settling.failed(session, taken, Unavailable("nobody there"), now=NOON)

    assert get(database, taken.send_id).trouble == "Paused by hand."
    assert states(database, taken.send_id) == ["planned"]


def test_a_worker_that_is_told_to_stop_claims_no_more(
    database: Database, courier: Courier, mailer: FakeMailer, clock: Clock, by_sevens: None
) -> None:
    send_id = planned(database, count=21)
    courier.stopping.set()
    deliver(courier, send_id)

    assert mailer.posts == 0
    assert states(database, send_id) == ["planned"] * 3
    assert attempts(database, send_id) == []


def test_two_readers_of_the_tray_do_not_set_a_post_aside(database: Database) -> None:
    taken = claimed(database, planned(database, count=3))
    events = [event(taken.attempt_id, sg_event_id=f"e{n}") for n in range(500)]
    threads = [
        Thread(target=report, args=(database, *batch)) for batch in (events, events[::-1]) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with database.reading() as session:
        assert [post.trouble for post in session.query(EventPost)] == []
