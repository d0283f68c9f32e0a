"""Events are told as SendGrid tells them: signed, repeated, out of order, or never."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterator

import orjson
import pytest
from sendgrid.helpers.eventwebhook import EventWebhook

from tests.standin.client import Standin
from tests.standin.conftest import Post, Webhook
from tests.standin.events import Event, Message, events_of
from tests.standin.sample_mail import mail, reader
from tests.standin.signing import SIGNATURE, TIMESTAMP, Signer
from tests.waiting import wait_until

FAST = {"interval": 0.02, "speed": 864_000.0}


def told(standin: Standin, webhook: Webhook, mode: str = "normal") -> list[tuple[str, str]]:
    standin.emit_to(webhook.url, mode, **FAST)
    standin.wait_for_events()
    return [(event["email"], event["event"]) for event in webhook.events() if "email" in event]


def outcome(local_part: str) -> list[Event]:
    """The events of a delivered message to an address at example.com."""
    message = Message(f"{local_part}@example.com", 0, "xid", {"nif_d": "1"}, [])
    return events_of(message, drop_reason=None)


@pytest.fixture
def standin() -> Iterator[Standin]:
    """A stand-in of its own for every test, since events of one test would reach the next."""
    with Standin() as standin:
        yield standin


def test_posts_have_signatures_that_sendgrids_own_helper_verifies(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    post(mail(reader(1)))
    told(standin, webhook)
    ((_method, _path, headers, body),) = webhook.requests
    verify = EventWebhook(standin.public_key).verify_signature

    assert verify(body.decode(), headers[SIGNATURE], headers[TIMESTAMP])
    assert not verify(body.decode().rstrip(), headers[SIGNATURE], headers[TIMESTAMP])
    assert body.endswith(b"}]\r\n")
    assert headers["User-Agent"] == "SendGrid Event API"
    assert headers["Content-Type"] == "application/json;charset=utf-8"
    assert len(standin.public_key) == 124


def test_a_signature_of_another_key_is_invalid(standin: Standin) -> None:
    headers = Signer().headers(b"[]\r\n")

    assert not EventWebhook(standin.public_key).verify_signature(
        "[]\r\n", headers[SIGNATURE], headers[TIMESTAMP]
    )


def test_events_carry_custom_arguments_categories_and_ids(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    xid = post(mail(reader(1), reader(2), categories=["weekly"])).headers["X-Message-Id"]
    told(standin, webhook)

    event = next(e for e in webhook.events() if e["nif_d"] == "2" and e["event"] == "processed")

    assert (event["nif_e"], event["category"]) == ("1", ["weekly"])
    assert event["sg_message_id"].startswith(f"{xid}.recvd-")
    assert event["sg_message_id"].endswith(".1")
    assert event["smtp-id"].startswith(f"<{xid}@")
    decoded = base64.urlsafe_b64decode(event["sg_event_id"] + "==")
    assert decoded == f"processed-10994919-{xid}-1".encode()


@pytest.mark.parametrize(
    ("local_part", "kinds"),
    [
        ("ann", ["processed", "delivered"]),
        ("hard+ann", ["processed", "bounce"]),
        ("soft+ann", ["processed", "bounce"]),
        ("async+ann", ["processed", "delivered", "bounce"]),
        ("defer3+ann", ["processed", "deferred", "deferred", "deferred", "delivered"]),
        ("spam+ann", ["processed", "delivered", "spamreport"]),
        ("mpp+ann", ["processed", "delivered", "open"]),
    ],
)
def test_the_name_before_the_at_sign_decides_the_outcome_of_mail(
    local_part: str, kinds: list[str]
) -> None:
    events = outcome(local_part)

    assert [event["event"] for event in events] == kinds
    assert len({event["sg_event_id"] for event in events}) == len(kinds)


def test_bounces_differ_as_sendgrids_do() -> None:
    names = ["hard", "s5110", "soft", "noresolve", "async"]

    bounces = [outcome(f"{name}+ann")[-1] for name in names]

    assert [b["type"] for b in bounces] == ["bounce", "bounce", "blocked", "blocked", "bounce"]
    assert [b.get("status") for b in bounces] == ["5.1.1", "5.1.10", "4.2.2", None, "5.1.1"]
    assert [b["sg_message_id"] == "" for b in bounces] == [False] * 4 + [True]
    assert ["nif_d" in b for b in bounces] == [True] * 4 + [False]


def test_mail_to_a_suppressed_address_is_accepted_and_dropped(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    standin.account(suppress={"unsubscribes": ["Reader1@example.com"]})
    assert post(mail(reader(1))).status == 202
    told(standin, webhook)

    (event,) = webhook.events()

    assert (event["event"], event["reason"]) == ("dropped", "Unsubscribed Address")


def test_mail_after_a_reported_bounce_is_a_problem(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    post(mail(reader(1, "hard+ann@example.com")))
    told(standin, webhook)
    post(mail(reader(2, "hard+ann@example.com", edition=2)))

    assert "mailed although its suppression was reported" in standin.problems()[0]
    assert told(standin, webhook)[-1] == ("hard+ann@example.com", "dropped")


def test_a_duplicated_event_is_posted_up_to_46_times(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    post(mail(*(reader(n) for n in range(30))))
    told(standin, webhook, "duplicate")

    counts = Counter(event["sg_event_id"] for event in webhook.events())

    assert len(counts) == 60
    assert 1 <= min(counts.values()) < 20 < max(counts.values()) <= 46


def test_shuffled_events_all_arrive_in_no_order(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    post(mail(*(reader(n) for n in range(30))))
    shuffled = told(standin, webhook, "shuffled")

    assert len(set(shuffled)) == len(shuffled) == 60
    assert {dict(reversed(shuffled))[email] for email, _kind in shuffled} == {
        "processed",
        "delivered",
    }


def test_lost_events_never_arrive(standin: Standin, post: Post, webhook: Webhook) -> None:
    post(mail(*(reader(n) for n in range(30))))
    lost = 60 - len(told(standin, webhook, "lost"))

    assert 0 < lost < 60
    assert standin.stats()["events"]["lost"] == lost


def test_events_of_a_dead_webhook_are_made_and_never_posted(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    post(mail(reader(1)))

    assert told(standin, webhook, "dead") == []
    assert webhook.requests == []
    assert (standin.stats()["events"]["made"], standin.stats()["events"]["lost"]) == (2, 2)


def test_all_events_of_some_requests_come_late(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    for request in range(20):
        post(mail(reader(2 * request), reader(2 * request + 1)))
    standin.emit_to(webhook.url, late=0.4, late_seconds=2.0, seed=3, interval=0.02)
    on_time = 4 * (20 - standin.stats()["events"]["late_groups"])
    wait_until(lambda: len(webhook.events()) >= on_time, "what is not late has come")
    early = Counter(event["sg_message_id"].split(".")[0] for event in webhook.events())
    counts = standin.wait_for_events()

    assert 0 < counts["late_groups"] < 20
    assert len(early) == 20 - counts["late_groups"]
    assert set(early.values()) == {4}
    assert len(webhook.events()) == 80


def test_events_that_are_delayed_or_unknown_are_posted(
    standin: Standin, post: Post, webhook: Webhook
) -> None:
    post(mail(*(reader(n) for n in range(5))))

    assert len(told(standin, webhook, "delayed+strange")) >= 10
    assert len(webhook.requests) > 1
    assert "account_status_change" in {event["event"] for event in webhook.events()}


def test_a_failed_post_is_repeated(standin: Standin, post: Post, webhook: Webhook) -> None:
    webhook.statuses = [500, 301, 204]
    post(mail(reader(1)))
    told(standin, webhook)

    bodies = [body for *_request, body in webhook.requests]

    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert [event["event"] for event in orjson.loads(bodies[0])] == ["processed", "delivered"]
    assert standin.stats()["events"]["refused_posts"] == 2
