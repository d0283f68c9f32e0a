"""Posting a send: everyone once, whatever the provider answers."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.editions.writing import (
    PREFERENCES_TAG,
    READER_HTML_TAG,
    READER_TAG,
    UNSUBSCRIBE_TAG,
)
from nif.mail.mailer import Locked, Problem, Refused, Unavailable, Uncertain
from nif.sends import steering
from nif.sends.delivering import Courier, deliver
from nif.sends.models import SendState
from nif.subscriptions.models import Subscriber
from nif.tokens import Purpose
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.ledger import attempts, batches, count, get, outcomes, planned, states

ANN, BAD, CY = "ann@example.com", "bad@example.com", "cy@example.com"
NO_CONTENT = Refused(400, [Problem("The content value must be a string.", "content.0.value")])


def audience(database: Database) -> list[str]:
    with database.reading() as session:
        return list(session.scalars(select(Subscriber.address).order_by(Subscriber.id)))


def everyone_once(database: Database, mailer: FakeMailer) -> bool:
    return sorted(mailer.addresses()) == sorted(audience(database))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_everyone_is_mailed_once(
    courier: Courier, database: Database, mailer: FakeMailer, by_sevens: None, concurrency: int
) -> None:
    send_id = planned(database, count=40)

    deliver(replace(courier, concurrency=concurrency), send_id)

    assert everyone_once(database, mailer)
    assert mailer.posts == 6
    assert count(database, send_id).accepted == 40
    assert (get(database, send_id).state, get(database, send_id).finished_at) == (
        SendState.FINISHED,
        NOON,
    )


def test_delivering_again_mails_nobody(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=3)
    deliver(courier, send_id)
    deliver(courier, send_id)

    assert mailer.posts == 1


def test_an_acceptance_is_kept_with_the_providers_id(courier: Courier, database: Database) -> None:
    send_id = planned(database, count=3)
    deliver(courier, send_id)

    (batch,), (attempt,) = batches(database, send_id), attempts(database, send_id)
    assert batch.message_id == f"id-{attempt.id[:8]}"
    assert (batch.settled_at, attempt.ended_at, attempt.result) == (NOON, NOON, "accepted")


def test_each_copy_can_be_left_with_one_click(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, ANN, CY)
    deliver(courier, send_id)

    ((_, _, copies),) = mailer.posted
    for copy in copies:
        assert copy.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert copy.headers["List-Unsubscribe"] == f"<{copy.values[UNSUBSCRIBE_TAG]}>"
        assert copy.values[UNSUBSCRIBE_TAG].startswith(courier.links.base_url)
    assert len({copy.values[UNSUBSCRIBE_TAG] for copy in copies}) == 2
    assert len({copy.values[PREFERENCES_TAG] for copy in copies}) == 2


def test_a_readers_links_open_to_that_reader_and_list(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    planned(database, "noise@example.com")
    send_id = planned(database, ANN)
    deliver(courier, send_id)

    ((_, _, (copy,)),) = mailer.posted
    reader = audience(database).index(ANN) + 1
    leave = copy.values[UNSUBSCRIBE_TAG].rpartition("/")[2]
    prefer = copy.values[PREFERENCES_TAG].rpartition("/")[2]
    assert courier.tokens.open(Purpose.UNSUBSCRIBE, leave) == (
        reader,
        get(database, send_id).list_id,
    )
    assert courier.tokens.open(Purpose.PREFERENCES, prefer)[0] == reader
    assert copy.marks == {"nif_d": f"{send_id}.{reader}"}


def test_an_address_is_escaped_for_html_and_not_for_text(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, "d'arcy&co@example.com")
    deliver(courier, send_id)

    ((_, _, (copy,)),) = mailer.posted
    assert copy.values[READER_TAG] == "d'arcy&co@example.com"
    assert copy.values[READER_HTML_TAG] == "d&#x27;arcy&amp;co@example.com"


def test_a_refused_address_is_recorded_and_the_rest_still_go(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, ANN, BAD, CY)
    mailer.refuses.add(BAD)

    deliver(courier, send_id)

    assert outcomes(database, send_id) == {ANN: "accepted", BAD: "refused", CY: "accepted"}
    assert mailer.posts == 2
    assert get(database, send_id).state is SendState.FINISHED
    assert get(database, send_id).trouble is None


@pytest.mark.parametrize("place", [0, 499, 999])
def test_an_unnamed_refusal_is_found_by_halving(
    courier: Courier, database: Database, mailer: FakeMailer, place: int
) -> None:
    send_id = planned(database, count=1000)
    bad = audience(database)[place]
    mailer.refuses.add(bad)
    mailer.names_the_bad_one = False

    deliver(courier, send_id)

    assert mailer.posts <= 21
    assert sorted([*mailer.addresses(), bad]) == sorted(audience(database))
    assert (count(database, send_id).accepted, count(database, send_id).refused) == (999, 1)


@pytest.mark.parametrize("place", [0, 998])
def test_two_unnamed_refusals_side_by_side_are_both_found(
    courier: Courier, database: Database, mailer: FakeMailer, place: int
) -> None:
    send_id = planned(database, count=1000)
    mailer.refuses.update(audience(database)[place : place + 2])
    mailer.names_the_bad_one = False

    deliver(courier, send_id)

    assert get(database, send_id).state is SendState.FINISHED
    assert (count(database, send_id).accepted, count(database, send_id).refused) == (998, 2)


def test_many_addresses_named_one_after_the_other_do_not_stop_a_send(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=100)
    mailer.refuses.update(random.Random(1).sample(audience(database), 15))

    deliver(courier, send_id)

    assert get(database, send_id).trouble is None
    assert (count(database, send_id).accepted, count(database, send_id).refused) == (85, 15)


def test_a_refusal_of_the_content_pauses_the_send(
    courier: Courier, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=40)
    mailer.raises.extend([NO_CONTENT] * 10)

    deliver(replace(courier, concurrency=2), send_id)

    send = get(database, send_id)
    assert mailer.posts <= 2
    assert send.state is SendState.PAUSED
    assert "The content value must be a string." in str(send.trouble)
    assert set(outcomes(database, send_id).values()) == {"planned"}


def test_a_send_that_was_paused_for_its_content_goes_on_when_told(
    courier: Courier, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=20)
    mailer.raises.append(NO_CONTENT)
    deliver(courier, send_id)

    with database.transaction() as session:
        steering.resume(session, steering.get_send(session, send_id))
    deliver(courier, send_id)

    assert everyone_once(database, mailer)


def test_a_mail_too_large_for_one_reader_pauses_the_send(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=4)
    mailer.raises.extend([Refused(413)] * 10)

    deliver(courier, send_id)

    assert get(database, send_id).state is SendState.PAUSED
    assert get(database, send_id).trouble == "The mail is too large for the provider."
    assert count(database, send_id).pending == 4


def test_a_request_too_large_is_halved(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=4)
    mailer.raises.append(Refused(413))

    deliver(courier, send_id)

    assert everyone_once(database, mailer)
    assert mailer.posts == 3


def test_a_locked_account_makes_the_send_wait_and_fails_nobody(
    courier: Courier, database: Database, mailer: FakeMailer, clock: Clock, by_sevens: None
) -> None:
    send_id = planned(database, count=20)
    mailer.raises.append(Locked("SendGrid answered 401"))
    deliver(courier, send_id)
    deliver(courier, send_id)

    send = get(database, send_id)
    assert mailer.posts == 1
    assert (send.state, send.trouble) == (SendState.SENDING, "SendGrid answered 401")
    assert send.not_before == NOON + timedelta(minutes=5)
    assert set(outcomes(database, send_id).values()) == {"planned"}

    clock.advance(minutes=5)
    deliver(courier, send_id)
    assert everyone_once(database, mailer)
    assert get(database, send_id).trouble is None


def test_an_unavailable_provider_is_waited_for_as_long_as_it_asks(
    courier: Courier, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned(database, count=3)
    mailer.raises.append(Unavailable("slow down", wait=42.0))
    deliver(courier, send_id)
    clock.advance(seconds=41.9)
    deliver(courier, send_id)

    assert mailer.posts == 1
    assert get(database, send_id).not_before == NOON + timedelta(seconds=42)

    clock.advance(seconds=0.1)
    deliver(courier, send_id)
    assert everyone_once(database, mailer)


def test_waits_grow_up_to_ten_minutes(
    courier: Courier, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned(database, count=3)
    mailer.raises.extend([Unavailable("no connection")] * 9)
    waits = []
    for _ in range(9):
        deliver(courier, send_id)
        not_before = get(database, send_id).not_before
        assert not_before is not None
        waits.append((not_before - clock.now).total_seconds())
        clock.now = not_before

    assert waits == [5, 10, 20, 40, 80, 160, 320, 600, 600]


def test_a_long_outage_is_not_taken_for_a_refusal_of_the_mail(
    courier: Courier, database: Database, mailer: FakeMailer, clock: Clock
) -> None:
    send_id = planned(database, ANN, BAD, CY)
    mailer.raises.extend([Unavailable("no connection")] * 14)
    for _ in range(14):
        deliver(courier, send_id)
        clock.advance(minutes=10)
    mailer.refuses.add(BAD)

    deliver(courier, send_id)

    assert get(database, send_id).trouble is None
    assert outcomes(database, send_id) == {ANN: "accepted", BAD: "refused", CY: "accepted"}


@pytest.mark.parametrize("taken", [True, False])
def test_an_uncertain_batch_is_not_posted_again(
    courier: Courier,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    by_sevens: None,
    taken: bool,
) -> None:
    send_id = planned(database, count=20)
    mailer.raises.append(Uncertain("no answer"))
    mailer.takes_and_raises = taken
    for _ in range(3):
        deliver(courier, send_id)
        clock.advance(hours=1)

    assert mailer.posts == 3
    assert states(database, send_id) == ["uncertain", "accepted", "accepted"]
    assert get(database, send_id).state is SendState.SENDING
    assert count(database, send_id).uncertain == 7


def test_after_five_uncertain_answers_in_a_row_a_send_waits(
    courier: Courier, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=70)
    mailer.raises.extend([Uncertain("SendGrid answered 500")] * 10)

    deliver(courier, send_id)
    deliver(courier, send_id)

    send = get(database, send_id)
    assert mailer.posts == 5
    assert send.not_before == NOON + timedelta(minutes=1)
    assert send.trouble == "SendGrid answered 500, 5 times in a row"


def test_four_uncertain_answers_and_a_good_one_are_no_row(
    courier: Courier, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=70)
    mailer.raises.extend([*[Uncertain("a 500")] * 4, None] * 2)

    deliver(courier, send_id)

    assert mailer.posts == 10
    assert get(database, send_id).not_before is None


def test_a_fault_of_our_own_while_posting_leaves_the_batch_uncertain(
    courier: Courier, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=8)
    mailer.raises.append(ValueError("a bug"))

    deliver(courier, send_id)

    assert states(database, send_id) == ["uncertain", "accepted"]
    assert {attempt.why for attempt in attempts(database, send_id)} == {None, "ValueError: a bug"}


def test_one_sends_trouble_is_not_anothers(
    courier: Courier, database: Database, mailer: FakeMailer
) -> None:
    ill, well = planned(database, ANN), planned(database, CY)
    mailer.raises.append(NO_CONTENT)
    deliver(courier, ill)
    deliver(courier, well)

    assert mailer.addresses() == [CY]
    assert get(database, well).state is SendState.FINISHED
