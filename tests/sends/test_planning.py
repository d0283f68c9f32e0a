"""Who gets an edition, and in which batches."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from nif.database import Database
from nif.sends.models import Batch, Delivery, Send, SendState
from nif.sends.planning import plan_send
from nif.subscriptions.models import Subscription, SubscriptionState
from tests.conftest import NOON
from tests.factories import a_list, a_plain_edition, a_plain_send, a_subscription, subscriptions


def readers(session: Session, send: Send) -> list[int]:
    query = select(Delivery.subscriber_id).where(Delivery.send_id == send.id)
    return list(session.scalars(query.order_by(Delivery.subscriber_id)))


def ranges(session: Session, send: Send) -> list[tuple[int, int, int]]:
    query = select(Batch.first_subscriber_id, Batch.last_subscriber_id, Batch.size).where(
        Batch.send_id == send.id
    )
    return [tuple(row) for row in session.execute(query.order_by(Batch.first_subscriber_id))]


def test_a_send_goes_to_everyone_confirmed_on_its_list(session: Session) -> None:
    a_subscription(session, a_list(session, slug="other"))
    mailing_list = a_list(session)
    confirmed = [a_subscription(session, mailing_list).subscriber_id for _ in range(3)]
    a_subscription(session, mailing_list, state=SubscriptionState.PENDING)
    a_subscription(session, mailing_list, state=SubscriptionState.UNSUBSCRIBED)

    send = plan_send(session, a_plain_edition(session, mailing_list), now=NOON)

    assert send is not None
    assert (send.state, send.audience) == (SendState.SENDING, 3)
    assert readers(session, send) == confirmed


def test_subscribers_are_split_into_batches_of_1000_whatever_their_ids(session: Session) -> None:
    mailing_list = a_list(session)
    ids = subscriptions(session, mailing_list, 3000)
    gone = ids[::6][:499]
    session.execute(
        update(Subscription)
        .where(Subscription.subscriber_id.in_(gone))
        .values(state=SubscriptionState.UNSUBSCRIBED)
    )

    send = plan_send(session, a_plain_edition(session, mailing_list), now=NOON)

    assert send is not None
    (a, b, c) = ranges(session, send)
    assert [a[2], b[2], c[2]] == [1000, 1000, 501]
    assert a[0] <= a[1] < b[0] <= b[1] < c[0] <= c[1]
    assert readers(session, send) == sorted(set(ids) - set(gone))


def test_each_subscriber_is_in_exactly_one_batch(session: Session, batches_of_seven: None) -> None:
    send = a_plain_send(session, count=30)
    in_batches = session.scalar(
        select(func.count())
        .select_from(Delivery)
        .join(
            Batch,
            Delivery.subscriber_id.between(Batch.first_subscriber_id, Batch.last_subscriber_id),
        )
    )

    assert [size for _, _, size in ranges(session, send)] == [7, 7, 7, 7, 2]
    assert in_batches == 30


@pytest.mark.parametrize(("count", "sizes"), [(6, [6]), (7, [7]), (8, [7, 1]), (14, [7, 7])])
def test_a_full_batch_starts_no_empty_one(
    session: Session, batches_of_seven: None, count: int, sizes: list[int]
) -> None:
    send = a_plain_send(session, count=count)

    assert [size for _, _, size in ranges(session, send)] == sizes


def test_a_send_to_nobody_is_finished_at_once(session: Session) -> None:
    send = a_plain_send(session)

    assert (send.state, send.finished_at, send.audience) == (SendState.FINISHED, NOON, 0)
    assert ranges(session, send) == []


def test_an_edition_is_planned_once(session: Session) -> None:
    send = a_plain_send(session, count=2)
    a_subscription(session, send.mailing_list)

    assert plan_send(session, send.edition, now=NOON) is None
    assert session.scalar(select(func.count()).select_from(Send)) == 1
    assert len(readers(session, send)) == 2


def test_five_workers_at_once_plan_an_edition_once(database: Database) -> None:
    with database.transaction() as session:
        mailing_list = a_list(session)
        subscriptions(session, mailing_list, 20)
        edition = a_plain_edition(session, mailing_list)

    def plan_it(_: int) -> Send | None:
        with database.transaction() as session:
            return plan_send(session, edition, now=NOON)

    with ThreadPoolExecutor(5) as threads:
        sends = [send for send in threads.map(plan_it, range(5)) if send]

    assert [send.audience for send in sends] == [20]


def test_a_later_subscriber_gets_the_next_edition(session: Session) -> None:
    send = a_plain_send(session, count=2)
    late = a_subscription(session, send.mailing_list).subscriber_id

    assert late not in readers(session, send)
