"""Posting a send: every subscriber once, whatever the provider answers."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import count as numbers
from threading import Event

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
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
from nif.sends.outcomes import record_uncertain
from nif.tokens import TokenPurpose
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.conftest import Clock
from tests.sends.helpers import (
    all_addresses,
    attempts,
    batches,
    count_and_certify,
    get_send,
    planned_send,
    states,
)
from tests.waiting import LIMIT, becomes_true, wait_until

ANN, CY = "ann@example.com", "cy@example.com"


def everyone_once(database: Database, mailer: FakeMailer) -> bool:
    return sorted(mailer.addresses()) == sorted(all_addresses(database))


@pytest.mark.parametrize("concurrency", [1, 8])
def test_everyone_is_mailed_once(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    batches_of_seven: None,
    concurrency: int,
) -> None:
    send_id = planned_send(database, count=40)

    deliver_send(replace(context, concurrency=concurrency), send_id)

    assert everyone_once(database, mailer)
    assert mailer.post_count == 6
    assert count_and_certify(database, send_id).accepted == 40
    assert (get_send(database, send_id).state, get_send(database, send_id).finished_at) == (
        SendState.FINISHED,
        NOON,
    )


def test_delivering_again_mails_nobody(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(context, send_id)
    deliver_send(context, send_id)

    assert mailer.post_count == 1


def test_an_acceptance_stores_the_providers_message_id(
    context: DeliveryContext, database: Database
) -> None:
    send_id = planned_send(database, count=3)
    deliver_send(context, send_id)

    (batch,), (attempt,) = batches(database, send_id), attempts(database, send_id)
    assert batch.message_id == f"id-{attempt.id[:8]}"
    assert (batch.settled_at, attempt.ended_at, attempt.result) == (NOON, NOON, "accepted")


def test_each_copy_has_a_one_click_unsubscribe_link(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, ANN, CY)
    deliver_send(context, send_id)

    ((_, _, copies),) = mailer.posted
    for copy in copies:
        assert copy.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert (
            copy.headers["List-Unsubscribe"] == f"<{copy.substitutions[UNSUBSCRIBE_PLACEHOLDER]}>"
        )
        assert copy.substitutions[UNSUBSCRIBE_PLACEHOLDER].startswith(context.links.base_url)
    assert len({copy.substitutions[UNSUBSCRIBE_PLACEHOLDER] for copy in copies}) == 2
    assert len({copy.substitutions[PREFERENCES_PLACEHOLDER] for copy in copies}) == 2


def test_links_in_a_copy_belong_to_its_subscriber_and_list(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    planned_send(database, "noise@example.com")
    send_id = planned_send(database, ANN)
    deliver_send(context, send_id)

    ((_, _, (copy,)),) = mailer.posted
    reader = all_addresses(database).index(ANN) + 1
    leave = copy.substitutions[UNSUBSCRIBE_PLACEHOLDER].rpartition("/")[2]
    prefer = copy.substitutions[PREFERENCES_PLACEHOLDER].rpartition("/")[2]
    assert context.tokens.open(TokenPurpose.UNSUBSCRIBE, leave) == (
        reader,
        get_send(database, send_id).list_id,
    )
    assert context.tokens.open(TokenPurpose.PREFERENCES, prefer)[0] == reader
    assert copy.custom_args == {"nif_d": f"{send_id}.{reader}"}


def test_an_address_is_escaped_for_html_and_not_for_text(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, "d'arcy&co@example.com")
    deliver_send(context, send_id)

    ((_, _, (copy,)),) = mailer.posted
    assert copy.substitutions[READER_PLACEHOLDER] == "d'arcy&co@example.com"
    assert copy.substitutions[READER_HTML_PLACEHOLDER] == "d&#x27;arcy&amp;co@example.com"


@pytest.mark.parametrize("was_accepted", [True, False])
def test_an_uncertain_batch_is_not_posted_again(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    clock: Clock,
    batches_of_seven: None,
    was_accepted: bool,
) -> None:
    send_id = planned_send(database, count=20)
    mailer.raises.append(Uncertain("no answer"))
    mailer.accepts_when_uncertain = was_accepted
    for _ in range(3):
        deliver_send(context, send_id)
        clock.advance(hours=1)

    assert mailer.post_count == 3
    assert states(database, send_id) == ["awaiting_proof", "accepted", "accepted"]
    assert get_send(database, send_id).state is SendState.SENDING
    assert count_and_certify(database, send_id).undecided == 7


@pytest.mark.parametrize("is_late", [True, False])
def test_an_answer_that_takes_too_long_counts_as_none(
    context: DeliveryContext, database: Database, monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    class Dripping(FakeMailer):
        def post(self, request: BatchRequest) -> str | None:
            if is_late:
                given_up.append(becomes_true(is_given_up, seconds=LIMIT))
            return super().post(request)

    def is_given_up() -> bool:
        return states(database, send_id) == ["awaiting_proof"]

    monkeypatch.setattr(delivery, "MAX_REQUEST_TIME", timedelta(seconds=0.1 if is_late else LIMIT))
    send_id, given_up = planned_send(database, count=3), list[bool]()
    deliver_send(replace(context, mailer=Dripping()), send_id)

    assert states(database, send_id) == ["awaiting_proof" if is_late else "accepted"]
    wait_until(lambda: given_up == [True] * is_late, "the worker gave the late answer up")


def test_answers_are_recorded_after_the_database_failed_in_between(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    batches_of_seven: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send_id, calls = planned_send(database, count=21), numbers(1)

    @contextmanager
    def failing() -> Iterator[Session]:
        if next(calls) in {4, 7, 9}:
            raise OperationalError("commit", {}, Exception("locked"))
        with database.transaction() as session:
            yield session

    monkeypatch.setattr(delivery, "RECORD_RETRY_SECONDS", (0.0, 0.0))
    for _ in range(3):
        with suppress(OperationalError):
            deliver_send(replace(context, transaction=failing), send_id)

    assert next(calls) > 9
    assert everyone_once(database, mailer)
    assert states(database, send_id) == ["accepted"] * 3


@pytest.mark.parametrize("failure", [OperationalError("commit", {}, Exception()), PoolTimeout()])
def test_an_acceptance_that_cannot_be_written_is_kept_until_the_database_takes_it(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    can_write, tries = Event(), numbers(1)

    @contextmanager
    def broken_after_the_post() -> Iterator[Session]:
        if mailer.post_count and not can_write.is_set():
            next(tries)
            raise failure
        with database.transaction() as session:
            yield session

    monkeypatch.setattr(delivery, "RECORD_RETRY_SECONDS", (0.0, 0.0, 0.0))
    monkeypatch.setattr(delivery, "KEPT_RESULTS_RETRY_SECONDS", 0.01)
    send_id = planned_send(database, ANN, CY)
    with suppress(OperationalError, PoolTimeout):
        deliver_send(replace(context, transaction=broken_after_the_post), send_id)
    # Meanwhile the worker counts as dead, because its lease cannot be renewed.
    (attempt,) = attempts(database, send_id)
    with database.transaction() as session:
        record_uncertain(session, attempt.id, "the worker vanished", now=NOON)
    assert states(database, send_id) == ["awaiting_proof"]

    can_write.set()

    wait_until(lambda: states(database, send_id) == ["accepted"], "the kept result is recorded")
    (attempt,) = attempts(database, send_id)
    assert (attempt.result, next(tries) > 4) == ("accepted", True)
    deliver_send(context, send_id)
    assert mailer.post_count == 1


def test_a_stopping_worker_claims_no_more(
    context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=21)
    context.stopping.set()
    deliver_send(context, send_id)

    assert (mailer.post_count, attempts(database, send_id)) == (0, [])
    assert states(database, send_id) == ["planned"] * 3


def test_one_batch_goes_first_and_only_its_acceptance_allows_more_at_once(
    context: DeliveryContext, database: Database, batches_of_seven: None
) -> None:
    class Watched(FakeMailer):
        """Notes how many batches are claimed while it posts."""

        def post(self, request: BatchRequest) -> str | None:
            seen.append(states(database, send_id).count("in_flight"))
            return super().post(request)

    seen: list[int] = []
    send_id, mailer = planned_send(database, count=21), Watched()
    mailer.raises.extend([Uncertain("a 500"), Uncertain("a 500")])
    deliver_send(replace(context, mailer=mailer, concurrency=8), send_id)

    assert seen == [1, 1, 1]
