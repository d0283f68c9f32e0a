"""Attempts that wait at the provider before anyone is mailed, each behind a fence of its own."""

from dataclasses import replace

from sqlalchemy import select

from nif.database import Database
from nif.mail.provider import AccountLocked
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import Attempt, AttemptResult
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import AHEAD, Clock
from tests.sends.ledger import accept, attempts, audience, brake, claimed, doubt, planned, states


def test_each_attempt_waits_behind_a_fence_of_its_own(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=14)
    deliver_send(fenced, send_id)

    found = attempts(database, send_id)
    assert len({attempt.fence for attempt in found}) == 2
    assert {attempt.goes_out_at for attempt in found} == {NOON + AHEAD}
    assert all(mailer.fenced[str(attempt.fence)] == attempt.id for attempt in found)
    assert mailer.addresses() == audience(database)


def test_without_the_setting_there_is_no_fence(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=3)
    deliver_send(courier, send_id)

    assert (mailer.fences, attempts(database, send_id)[0].goes_out_at) == (0, None)


def test_a_provider_without_fences_is_posted_to_without(
    fenced: DeliveryContext, database: Database
) -> None:
    class Fenceless(FakeMailer):
        def create_fence(self) -> str | None:
            return None

    send_id, mailer = planned(database, count=3), Fenceless()
    deliver_send(replace(fenced, mailer=mailer), send_id)

    assert len(mailer.addresses()) == 3
    assert attempts(database, send_id)[0].fence is None


def test_where_no_fence_is_to_be_had_nothing_is_posted_and_the_house_waits(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=3)
    mailer.breaks = AccountLocked("no such key", 401)
    deliver_send(fenced, send_id)

    on = brake(database)
    assert on is not None
    assert (on.reason, mailer.posts, states(database, send_id)) == ("no such key", 0, ["planned"])
    with database.reading() as session:
        assert session.scalars(select(Attempt)).all() == []


def test_an_answer_that_comes_while_it_is_recalled_proves_nothing(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=3)
    taken = claimed(database, send_id)
    doubt(database, taken)
    change_attempt(database, taken.attempt_id, result=AttemptResult.RECALLING)

    assert not accept(database, taken)
    assert states(database, send_id) == ["awaiting_proof"]


def change_attempt(database: Database, attempt_id: str, **values: object) -> None:
    with database.transaction() as session:
        for name, value in values.items():
            setattr(session.get_one(Attempt, attempt_id), name, value)


def test_with_the_brake_on_no_fence_is_asked_for(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned(database, count=3)
    mailer.raises.append(AccountLocked("no such key", 401))
    deliver_send(fenced, send_id)
    for _ in range(5):
        clock.advance(seconds=2)
        deliver_send(fenced, send_id)

    assert (mailer.fences, mailer.posts) == (1, 1)


def test_a_key_that_stays_unknown_does_not_put_the_next_try_off_for_ever(
    fenced: DeliveryContext, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned(database, count=3)
    mailer.breaks = AccountLocked("no such key", 401)
    deliver_send(fenced, send_id)
    clock.advance(minutes=4)
    deliver_send(fenced, send_id)
    mailer.breaks = None
    clock.advance(minutes=1)
    deliver_send(fenced, send_id)

    assert len(mailer.addresses()) == 3
