"""Refusals: one bad address never costs the others their mail, and the mail marks nobody."""

import random
from dataclasses import replace
from math import ceil, log2

import pytest

from nif.database import Database
from nif.mail.provider import ProviderProblem, Refused
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import SendState, SendStopCause
from nif.sends.refusals import MAX_REFUSALS_IN_A_ROW, MAX_REFUSED, max_refused
from tests.fakes import FakeMailer
from tests.sends.helpers import (
    all_addresses,
    attempts,
    batches,
    claimed_batch,
    count_and_certify,
    fail_attempt,
    get_send,
    outcomes,
    planned_send,
    resume,
    states,
    tripped_breaker,
)

ANN, BEA, CY = "ann@example.com", "bea@example.com", "cy@example.com"
NO_CONTENT = Refused(
    400, [ProviderProblem("The content value must be a string.", "content.0.value")]
)


def about(copy: int, message: str = "Bad.") -> ProviderProblem:
    return ProviderProblem(message, f"personalizations.{copy}.to.0.email", copy)


def counts_of(database: Database, send_id: int) -> tuple[int, int, int]:
    """How many were accepted, refused and failed to render."""
    tally = count_and_certify(database, send_id)
    return tally.accepted, tally.refused, tally.render_failed


@pytest.mark.parametrize(("count", "place"), [(64, 0), (64, 31), (64, 32), (64, 63), (1000, 500)])
@pytest.mark.parametrize("named", [True, False])
def test_all_others_are_mailed_in_spite_of_one_bad_address(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    count: int,
    place: int,
    named: bool,
) -> None:
    """An address that no refusal names is found by halving: 21 posts for a batch of 1,000."""
    send_id = planned_send(database, count=count)
    bad = all_addresses(database)[place]
    mailer.refuses.add(bad)
    mailer.names_bad_address = named
    deliver_send(context, send_id)

    assert mailer.post_count <= (3 if named else 1 + 2 * ceil(log2(count)))
    assert sorted([*mailer.addresses(), bad]) == sorted(all_addresses(database))
    assert counts_of(database, send_id) == (count - 1, 1, 0)
    assert outcomes(database, send_id)[bad] == "refused"
    assert get_send(database, send_id).state is SendState.FINISHED
    assert get_send(database, send_id).stop_detail is None


@pytest.mark.parametrize(("count", "place"), [(64, 0), (64, 31), (64, 62), (1000, 499)])
def test_two_adjacent_bad_addresses_that_no_refusal_names_are_both_found(
    context: DeliveryContext, database: Database, mailer: FakeMailer, count: int, place: int
) -> None:
    send_id = planned_send(database, count=count)
    mailer.refuses.update(all_addresses(database)[place : place + 2])
    mailer.names_bad_address = False
    deliver_send(context, send_id)

    assert get_send(database, send_id).state is SendState.FINISHED
    assert counts_of(database, send_id) == (count - 2, 2, 0)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("place", [0, 33, 80, None])
def test_twenty_bad_addresses_do_not_stop_a_send_side_by_side_or_scattered(
    context: DeliveryContext, database: Database, mailer: FakeMailer, named: bool, place: int | None
) -> None:
    send_id = planned_send(database, count=100)
    everyone = all_addresses(database)
    scattered = random.Random(1).sample(everyone, MAX_REFUSED)
    mailer.refuses.update(scattered if place is None else everyone[place : place + MAX_REFUSED])
    mailer.names_bad_address = named
    deliver_send(context, send_id)

    assert get_send(database, send_id).stop_detail is None
    assert counts_of(database, send_id) == (80, 20, 0)
    assert sorted([*mailer.addresses(), *mailer.refuses]) == sorted(everyone)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_provider_that_names_one_healthy_subscriber_after_the_other_is_not_believed(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    batches_of_seven: None,
    concurrency: int,
) -> None:
    """A proxy named index 0 of every request: all readers were refused, and the send complete."""
    send_id = planned_send(database, count=60)
    mailer.raises.extend([None, None, *[Refused(400, [about(0, "Bad Gateway.")])] * 99])
    deliver_send(replace(context, concurrency=concurrency), send_id)

    send = get_send(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.REFUSALS)
    assert "21 of 60 subscribers were refused. The last reason: Bad Gateway." in str(
        send.stop_detail
    )
    assert mailer.post_count <= 2 + MAX_REFUSED + concurrency
    assert counts_of(database, send_id)[1] == 0

    mailer.raises.clear()
    resume(database, send_id)
    deliver_send(context, send_id)
    assert sorted(mailer.addresses()) == sorted(all_addresses(database))
    assert counts_of(database, send_id) == (60, 0, 0)
    assert get_send(database, send_id).state is SendState.FINISHED


def test_one_answer_that_names_too_many_marks_none_of_them(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, count=50))
    fail_attempt(database, claimed, Refused(400, [about(n) for n in range(0, 42, 2)]))

    assert get_send(database, claimed.send_id).stop_cause is SendStopCause.REFUSALS
    assert set(outcomes(database, claimed.send_id).values()) == {"planned"}


def test_an_answer_that_comes_after_the_pause_marks_nobody(
    database: Database, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=35)
    claimed = [claimed_batch(database, send_id) for _ in range(5)]
    for each in claimed:
        fail_attempt(database, each, Refused(400, [about(n) for n in range(6)]))

    assert get_send(database, send_id).stop_cause is SendStopCause.REFUSALS
    assert set(outcomes(database, send_id).values()) == {"planned"}


@pytest.mark.parametrize("count", [2, 10])
def test_a_send_of_which_everyone_is_refused_needs_a_person(
    context: DeliveryContext, database: Database, mailer: FakeMailer, count: int
) -> None:
    send_id = planned_send(database, count=count)
    mailer.refuses.update(all_addresses(database))
    deliver_send(context, send_id)

    assert get_send(database, send_id).stop_cause is SendStopCause.REFUSALS
    assert set(outcomes(database, send_id).values()) == {"planned"}


def test_a_large_send_believes_two_refusals_in_a_hundred() -> None:
    assert [max_refused(size) for size in (1, 1000, 1099, 10_000)] == [20, 20, 21, 200]


def test_no_later_attempt_covers_a_refused_subscriber(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    """Else nobody could tell whether they were mailed, and they could never be tried again."""
    send_id = planned_send(database, count=9)
    everyone = all_addresses(database)
    mailer.refuses.update({everyone[0], everyone[3], everyone[4], everyone[8]})
    deliver_send(context, send_id)

    left = [attempt for attempt in attempts(database, send_id) if attempt.left]
    covered = [
        place + 1
        for attempt in left
        for place in range(attempt.first_subscriber_id - 1, attempt.last_subscriber_id)
    ]
    assert sorted(covered) == [2, 3, 6, 7, 8]


def test_the_named_copies_are_refused_with_their_reasons(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN, BEA, CY))
    fail_attempt(database, claimed, Refused(400, [about(0), about(2)]))

    assert outcomes(database, claimed.send_id) == {ANN: "refused", BEA: "planned", CY: "refused"}
    assert [batch.refused for batch in batches(database, claimed.send_id)] == [1, 0, 1]


@pytest.mark.parametrize("problems", [[about(9)], [about(0), about(10**6)]])
def test_a_refusal_of_a_copy_outside_the_request_marks_nobody(
    database: Database, problems: list[ProviderProblem]
) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN, BEA))
    fail_attempt(database, claimed, Refused(400, problems))

    assert set(outcomes(database, claimed.send_id).values()) == {"planned"}
    assert len(batches(database, claimed.send_id)) == 2


def test_both_halves_of_a_split_batch_count_what_they_hold(database: Database) -> None:
    claimed = claimed_batch(database, planned_send(database, ANN, BEA, CY))
    fail_attempt(database, claimed, Refused(400, [about(0)]))
    fail_attempt(database, claimed_batch(database, claimed.send_id), Refused(400))

    sizes = [(batch.size, batch.refused) for batch in batches(database, claimed.send_id)]
    assert sizes == [(1, 1), (1, 0), (1, 0)]
    assert count_and_certify(database, claimed.send_id).pending == 2


@pytest.mark.parametrize(
    "error",
    [
        NO_CONTENT,
        Refused(
            400, [ProviderProblem("Bad header", "personalizations.0.headers.List-Unsubscribe")]
        ),
        Refused(400, [about(0), ProviderProblem("The from address is not verified.", "from")]),
    ],
)
def test_a_refusal_of_the_mail_stops_the_send_and_marks_nobody(
    context: DeliveryContext,
    database: Database,
    mailer: FakeMailer,
    batches_of_seven: None,
    error: Refused,
) -> None:
    send_id = planned_send(database, count=40)
    mailer.raises.extend([error] * 10)
    deliver_send(replace(context, concurrency=4), send_id)

    send = get_send(database, send_id)
    assert mailer.post_count <= 2
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.CONTENT)
    assert str(error) in str(send.stop_detail)
    assert set(outcomes(database, send_id).values()) == {"planned"}


def test_a_send_stopped_for_its_content_can_be_resumed(
    context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=20)
    mailer.raises.append(NO_CONTENT)
    deliver_send(context, send_id)
    resume(database, send_id)
    deliver_send(context, send_id)

    assert mailer.addresses() == all_addresses(database)
    assert (get_send(database, send_id).stop_cause, get_send(database, send_id).stop_detail) == (
        None,
        None,
    )


@pytest.mark.parametrize("once", [1, 3])
def test_a_request_too_large_is_halved(
    context: DeliveryContext, database: Database, mailer: FakeMailer, once: int
) -> None:
    send_id = planned_send(database, count=8)
    mailer.raises.extend([Refused(413)] * once)
    deliver_send(context, send_id)

    assert mailer.addresses() == all_addresses(database)
    assert [batch.size for batch in batches(database, send_id)] == [8 >> once] + [
        8 >> power for power in range(once, 0, -1)
    ]


def test_a_mail_too_large_for_one_subscriber_stops_the_send(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=4)
    mailer.raises.extend([Refused(413)] * 10)
    deliver_send(context, send_id)

    send = get_send(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.TOO_LARGE)
    assert send.stop_detail == "The mail is too large for the provider."
    assert count_and_certify(database, send_id).pending == 4


def test_endless_refusals_that_name_nobody_mark_nobody(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=200)
    mailer.raises.extend(Refused(400, [ProviderProblem("Bad Request")]) for _ in range(400))
    deliver_send(context, send_id)
    assert (get_send(database, send_id).state, get_send(database, send_id).stop_cause) == (
        "paused",
        "content",
    )
    assert mailer.post_count <= 8 + 2 * (MAX_REFUSALS_IN_A_ROW + 1)
    assert set(outcomes(database, send_id).values()) == {"planned"}

    mailer.raises.clear()
    resume(database, send_id)
    deliver_send(context, send_id)
    assert sorted(mailer.addresses()) == sorted(all_addresses(database))
    assert counts_of(database, send_id) == (200, 0, 0)


@pytest.mark.parametrize("bad", [1, 5, 50])
def test_subscribers_whose_copy_cannot_be_rendered_are_set_aside(
    context: DeliveryContext, database: Database, mailer: FakeMailer, bad: int
) -> None:
    send_id = planned_send(database, count=60)
    mailer.unrenderable.update(all_addresses(database)[:bad])
    deliver_send(context, send_id)

    assert mailer.post_count == 1
    assert mailer.addresses() == all_addresses(database)[bad:]
    assert counts_of(database, send_id) == (60 - bad, 0, bad)
    assert get_send(database, send_id).state is SendState.FINISHED


def test_rendering_may_fail_for_the_only_subscriber_of_a_batch(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, ANN)
    mailer.unrenderable.add(ANN)
    deliver_send(context, send_id)

    assert (mailer.post_count, outcomes(database, send_id)) == (0, {ANN: "render_failed"})
    assert get_send(database, send_id).state is SendState.FINISHED


@pytest.mark.parametrize(("readers", "bad"), [(100, 51), (2, 2), (7, 7)])
def test_too_many_failed_copies_stop_the_send(
    context: DeliveryContext, database: Database, mailer: FakeMailer, readers: int, bad: int
) -> None:
    send_id = planned_send(database, count=readers)
    mailer.unrenderable.update(all_addresses(database)[:bad])
    deliver_send(context, send_id)

    send = get_send(database, send_id)
    assert (mailer.post_count, send.state, send.stop_cause) == (
        0,
        SendState.PAUSED,
        SendStopCause.FAULT,
    )
    assert send.stop_detail == f"{bad} of {readers} copies could not be rendered: ValueError"
    assert counts_of(database, send_id) == (0, 0, 0)


def test_a_fault_in_nif_while_posting_stops_that_send_alone(
    context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    ill, well = planned_send(database, count=14), planned_send(database, ANN)
    mailer.raises.append(ValueError("a bug"))
    deliver_send(context, ill)
    deliver_send(context, well)

    assert states(database, ill) == ["awaiting_proof", "planned"]
    assert (get_send(database, ill).state, get_send(database, ill).stop_cause) == (
        SendState.PAUSED,
        SendStopCause.FAULT,
    )
    assert [attempt.reason for attempt in attempts(database, ill)] == ["ValueError: a bug"]
    assert (mailer.addresses(), tripped_breaker(database)) == ([ANN], None)
