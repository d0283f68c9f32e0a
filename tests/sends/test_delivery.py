"""Posting a send: everyone once, whatever the provider answers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count as numbers

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.database import Database
from nif.editions.messages import (
    PREFERENCES_PLACEHOLDER,
    READER_HTML_PLACEHOLDER,
    READER_PLACEHOLDER,
    UNSUBSCRIBE_PLACEHOLDER,
)
from nif.mail.provider import BatchRequest, Uncertain
from nif.sends import delivery
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import SendState
from nif.tokens import TokenPurpose
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.ledger import attempts, audience, batches, count, get, planned, states

ANN, CY = "ann@example.com", "cy@example.com"


def everyone_once(database: Database, mailer: FakeMailer) -> bool:
    return sorted(mailer.addresses()) == sorted(audience(database))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_everyone_is_mailed_once(
    courier: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    by_sevens: None,
    concurrency: int,
) -> None:
    send_id = planned(database, count=40)

    deliver_send(replace(courier, concurrency=concurrency), send_id)

    assert everyone_once(database, mailer)
    assert mailer.posts == 6
    assert count(database, send_id).accepted == 40
    assert (get(database, send_id).state, get(database, send_id).finished_at) == (
        SendState.FINISHED,
        NOON,
    )


def test_delivering_again_mails_nobody(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, count=3)
    deliver_send(courier, send_id)
    deliver_send(courier, send_id)

    assert mailer.posts == 1


def test_an_acceptance_is_kept_with_the_providers_id(
    courier: DeliveryContext, database: Database
) -> None:
    send_id = planned(database, count=3)
    deliver_send(courier, send_id)

    (batch,), (attempt,) = batches(database, send_id), attempts(database, send_id)
    assert batch.message_id == f"id-{attempt.id[:8]}"
    assert (batch.settled_at, attempt.ended_at, attempt.result) == (NOON, NOON, "accepted")


def test_each_copy_can_be_left_with_one_click(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, ANN, CY)
    deliver_send(courier, send_id)

    ((_, _, copies),) = mailer.posted
    for copy in copies:
        assert copy.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert (
            copy.headers["List-Unsubscribe"] == f"<{copy.substitutions[UNSUBSCRIBE_PLACEHOLDER]}>"
        )
        assert copy.substitutions[UNSUBSCRIBE_PLACEHOLDER].startswith(courier.links.base_url)
    assert len({copy.substitutions[UNSUBSCRIBE_PLACEHOLDER] for copy in copies}) == 2
    assert len({copy.substitutions[PREFERENCES_PLACEHOLDER] for copy in copies}) == 2


def test_a_readers_links_open_to_that_reader_and_list(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    planned(database, "noise@example.com")
    send_id = planned(database, ANN)
    deliver_send(courier, send_id)

    ((_, _, (copy,)),) = mailer.posted
    reader = audience(database).index(ANN) + 1
    leave = copy.substitutions[UNSUBSCRIBE_PLACEHOLDER].rpartition("/")[2]
    prefer = copy.substitutions[PREFERENCES_PLACEHOLDER].rpartition("/")[2]
    assert courier.tokens.open(TokenPurpose.UNSUBSCRIBE, leave) == (
        reader,
        get(database, send_id).list_id,
    )
    assert courier.tokens.open(TokenPurpose.PREFERENCES, prefer)[0] == reader
    assert copy.custom_args == {"nif_d": f"{send_id}.{reader}"}


def test_an_address_is_escaped_for_html_and_not_for_text(
    courier: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned(database, "d'arcy&co@example.com")
    deliver_send(courier, send_id)

    ((_, _, (copy,)),) = mailer.posted
    assert copy.substitutions[READER_PLACEHOLDER] == "d'arcy&co@example.com"
    assert copy.substitutions[READER_HTML_PLACEHOLDER] == "d&#x27;arcy&amp;co@example.com"


@pytest.mark.parametrize("taken", [True, False])
def test_an_uncertain_batch_is_not_posted_again(
    courier: DeliveryContext,
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
        deliver_send(courier, send_id)
        clock.advance(hours=1)

    assert mailer.posts == 3
    assert states(database, send_id) == ["awaiting_proof", "accepted", "accepted"]
    assert get(database, send_id).state is SendState.SENDING
    assert count(database, send_id).undecided == 7


@pytest.mark.parametrize("taken", [True, False])
def test_an_answer_that_drips_in_for_too_long_is_none(
    courier: DeliveryContext, database: Database, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    class Dripping(FakeMailer):
        def post(self, request: BatchRequest) -> str | None:
            time.sleep(0.3)
            return super().post(request)

    monkeypatch.setattr(delivery, "MAX_REQUEST_TIME", timedelta(seconds=0.1 if taken else 5))
    send_id = planned(database, count=3)
    deliver_send(replace(courier, mailer=Dripping()), send_id)

    assert states(database, send_id) == ["awaiting_proof" if taken else "accepted"]


def test_answers_are_written_down_though_the_ledger_failed_in_between(
    courier: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    by_sevens: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send_id, calls = planned(database, count=21), numbers(1)

    @contextmanager
    def failing() -> Iterator[Session]:
        if next(calls) in {4, 7, 9}:
            raise OperationalError("commit", {}, Exception("locked"))
        with database.transaction() as session:
            yield session

    monkeypatch.setattr(delivery, "RECORD_RETRY_SECONDS", (0.0, 0.0))
    for _ in range(3):
        with suppress(OperationalError):
            deliver_send(replace(courier, transaction=failing), send_id)

    assert next(calls) > 9
    assert everyone_once(database, mailer)
    assert states(database, send_id) == ["accepted"] * 3


def test_a_worker_that_is_told_to_stop_claims_no_more(
    courier: DeliveryContext, database: Database, mailer: FakeMailer, by_sevens: None
) -> None:
    send_id = planned(database, count=21)
    courier.stopping.set()
    deliver_send(courier, send_id)

    assert (mailer.posts, attempts(database, send_id)) == (0, [])
    assert states(database, send_id) == ["planned"] * 3


def test_one_batch_goes_first_and_only_its_acceptance_opens_the_way_for_more(
    courier: DeliveryContext, database: Database, by_sevens: None
) -> None:
    class Watched(FakeMailer):
        """Notes how many batches are claimed while it posts."""

        def post(self, request: BatchRequest) -> str | None:
            seen.append(states(database, send_id).count("in_flight"))
            return super().post(request)

    seen: list[int] = []
    send_id, mailer = planned(database, count=21), Watched()
    mailer.raises.extend([Uncertain("a 500"), Uncertain("a 500")])
    deliver_send(replace(courier, mailer=mailer, concurrency=8), send_id)

    assert seen == [1, 1, 1]
