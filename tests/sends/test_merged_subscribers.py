"""Addresses that move while a send is under way: nobody gets an edition twice, nobody none."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from nif.database import Database
from nif.mail.addresses import parse_address
from nif.sends.batches import ClaimedBatch
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.merged_subscribers import carry_deliveries_over
from nif.sends.models import Delivery, DeliveryOutcome
from nif.sends.planning import SendTerms
from nif.subscriptions.address_change import (
    address_change_token,
    complete_address_change,
    request_address_change,
)
from nif.subscriptions.models import Subscriber
from nif.tokens import Tokens
from tests import factories
from tests.conftest import NOON
from tests.factories import HERE
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    accept,
    change_send,
    claimed_batch,
    count_and_certify,
    make_uncertain,
    planned_send,
    release,
)

ANN, BEA, CY = "ann@example.com", "bea@example.com", "cy@example.com"
TOKENS = Tokens([b"a key"])
End = Callable[[Database, ClaimedBatch], object]


@pytest.fixture(autouse=True)
def batches_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "TERMS", SendTerms(batch_size=1))


def move(database: Database, before: str, after: str) -> None:
    """A subscriber proves that another address is theirs too."""
    with database.transaction() as session:
        who = session.scalars(select(Subscriber).where(Subscriber.address == before)).one()
        _, change = request_address_change(session, who, parse_address(after), HERE, now=NOON)
        assert change is not None
        token = address_change_token(change, TOKENS)
        complete_address_change(session, token, TOKENS, HERE, carry_deliveries_over, now=NOON)


def leave_open(database: Database, claimed: ClaimedBatch) -> None:
    """The request was posted, and its answer has not come in."""


@pytest.mark.parametrize("end", [accept, make_uncertain, leave_open])
def test_who_moves_onto_an_address_that_was_or_may_have_been_mailed_is_not_mailed_again(
    context: DeliveryContext, database: Database, mailer: FakeMailer, end: End
) -> None:
    send_id = planned_send(database, ANN, BEA, CY)
    end(database, claimed_batch(database, send_id))

    move(database, BEA, ANN)
    deliver_send(context, send_id)

    assert mailer.addresses() == [CY]
    assert count_and_certify(database, send_id).skipped == 1
    with database.reading() as session:
        assert session.get_one(Delivery, (send_id, 2)).outcome is DeliveryOutcome.ALREADY_MAILED


def test_who_moves_onto_an_address_that_was_certainly_not_mailed_is_mailed(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, ANN, BEA)
    release(database, claimed_batch(database, send_id))

    move(database, BEA, ANN)
    deliver_send(context, send_id)

    assert mailer.addresses() == [ANN]
    assert count_and_certify(database, send_id).accepted == 1


def test_a_mailed_subscriber_who_moves_onto_an_address_whose_turn_is_later_is_mailed_once(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, ANN, BEA, CY)
    accept(database, claimed_batch(database, send_id))

    move(database, ANN, BEA)
    deliver_send(context, send_id)

    assert mailer.addresses() == [CY]
    assert count_and_certify(database, send_id).accepted == 2


def test_an_undecided_subscriber_who_moves_onto_a_mailed_address_is_not_posted_again(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, ANN, BEA)
    accept(database, claimed_batch(database, send_id))
    undecided = claimed_batch(database, send_id)
    make_uncertain(database, undecided)

    move(database, BEA, ANN)
    release(database, undecided)
    deliver_send(context, send_id)

    assert mailer.addresses() == []
    assert count_and_certify(database, send_id).pending == 0


def test_a_delivery_that_was_accepted_stays_accepted(database: Database) -> None:
    send_id = planned_send(database, ANN, BEA)
    for _ in range(2):
        accept(database, claimed_batch(database, send_id))

    move(database, BEA, ANN)

    assert count_and_certify(database, send_id).accepted == 2


def test_other_sends_and_ended_ones_are_left_as_they_are(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    ended = planned_send(database, ANN, BEA)
    accept(database, claimed_batch(database, ended))
    change_send(database, ended, state="cancelled")

    move(database, BEA, ANN)

    with database.reading() as session:
        assert session.get_one(Delivery, (ended, 2)).outcome is None
