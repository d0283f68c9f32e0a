"""Requests to SendGrid and the meaning of its answers, over real HTTP on loopback."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from nif.mail.message import Message, MessageCopy
from nif.mail.provider import AccountLocked, Refused, Unavailable, Uncertain
from nif.mail.sendgrid import SendGridMailer
from tests.mail.sendgrid import ATTEMPT, KEY, MESSAGE, Odd, copy, request_for
from tests.standin.client import Standin


def body(*copies: MessageCopy, **given: str) -> dict[str, Any]:
    """The posted request, as JSON."""
    message = Message(**{**vars(MESSAGE), **given})
    packed = SendGridMailer(KEY, "http://127.0.0.1:1", 1).build_request(
        message, copies, attempt=ATTEMPT
    )
    return orjson.loads(packed.content)


def test_an_accepted_request_returns_the_message_id(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    message_id = sendgrid.post(request_for(sendgrid, "ann", "bea"))

    record = list(standin.accepted())[-1]
    assert (record["message_id"], record["attempt"]) == (message_id, ATTEMPT)
    assert record["deliveries"] == [["1.3", "ann@example.com"], ["1.3", "bea@example.com"]]


def test_an_answer_without_a_message_id_is_an_acceptance(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    standin.push_fault("no_message_id")

    assert sendgrid.post(request_for(sendgrid)) is None


def test_each_subscriber_gets_their_own_substitutions(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    sendgrid.post(request_for(sendgrid, "dot", "eve"))

    (mail,) = standin.mails("eve@example.com")
    leave = "https://news.example.com/unsubscribe/eve"
    assert mail["headers"]["List-Unsubscribe"] == f"<{leave}>"
    assert mail["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["headers"]["List-Id"] == "<daily.example.com>"
    assert leave in mail["text"]
    assert leave in mail["html"]


def test_a_thousand_copies_go_in_one_request(standin: Standin, sendgrid: SendGridMailer) -> None:
    before = standin.stats()
    sendgrid.post(request_for(sendgrid, *(f"reader{n}" for n in range(1000))))
    after = standin.stats()

    assert after["accepted_requests"] - before["accepted_requests"] == 1
    assert after["recipients"] - before["recipients"] == 1000


def test_each_copy_is_a_personalization_with_one_address() -> None:
    parts = body(copy("ann"), copy("bea"))["personalizations"]

    assert [part["to"] for part in parts] == [
        [{"email": "ann@example.com"}],
        [{"email": "bea@example.com"}],
    ]
    assert all(set(part) == {"to", "custom_args", "headers", "substitutions"} for part in parts)


def test_a_copy_without_headers_and_substitutions_has_no_empty_fields() -> None:
    (part,) = body(copy("ann", headers={}, substitutions={}))["personalizations"]

    assert set(part) == {"to", "custom_args"}


def test_custom_args_identify_copy_and_attempt_and_contain_no_address() -> None:
    said = body(copy("ann"))

    assert said["custom_args"] == {"nif_a": ATTEMPT}
    assert said["personalizations"][0]["custom_args"] == {"nif_d": "1.3"}


def test_every_tracking_setting_is_turned_off_explicitly() -> None:
    tracking = body(copy("ann"))["tracking_settings"]

    assert set(tracking) == {
        "click_tracking",
        "open_tracking",
        "subscription_tracking",
        "ganalytics",
    }
    assert not any(value for setting in tracking.values() for value in setting.values())


def test_text_comes_before_html() -> None:
    kinds = [part["type"] for part in body(copy("ann"))["content"]]

    assert kinds == ["text/plain", "text/html"]


@pytest.mark.parametrize(
    ("name", "sent"), [("NIF; News, Daily", "NIF  News  Daily"), ("Plain", "Plain")]
)
def test_a_sender_name_loses_the_characters_that_make_sendgrid_drop_mail(
    name: str, sent: str
) -> None:
    assert body(copy("ann"), from_name=name)["from"] == {"email": "news@example.com", "name": sent}


def test_a_request_has_the_api_key_and_the_content_type(
    odd: Odd, ask: Callable[[], str | None]
) -> None:
    ask()

    (headers,) = odd.seen
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"


def test_connections_are_reused(standin: Standin, sendgrid: SendGridMailer) -> None:
    before = standin.stats()["connections"]
    for _ in range(5):
        sendgrid.post(request_for(sendgrid))

    assert standin.stats()["connections"] == before + 1


def test_a_connection_closed_while_idle_does_not_make_the_outcome_uncertain(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    standin.push_fault("close_idle")
    before = standin.stats()["open_connections"]
    sendgrid.post(request_for(sendgrid))
    standin.wait_until_closed(before)

    assert sendgrid.post(request_for(sendgrid)) is not None


def test_an_invalid_address_is_reported_with_the_index_of_its_copy(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    standin.push_fault("bad_address", address="bea@example.com")

    with pytest.raises(Refused) as told:
        sendgrid.post(request_for(sendgrid, "ann", "bea", "cy"))
    (problem,) = told.value.problems
    assert (told.value.status, problem.copy) == (400, 1)
    assert problem.message == "Does not contain a valid address."


def test_a_problem_with_the_content_names_its_field(sendgrid: SendGridMailer) -> None:
    empty = sendgrid.build_request(
        Message(**{**vars(MESSAGE), "text": ""}), [copy("ann")], attempt=ATTEMPT
    )

    with pytest.raises(Refused) as told:
        sendgrid.post(empty)
    (problem,) = told.value.problems
    assert (problem.field, problem.copy) == ("content.0.value", None)


def test_a_body_too_large_is_refused(standin: Standin, sendgrid: SendGridMailer) -> None:
    huge = Message(**{**vars(MESSAGE), "html": "x" * 31_000_000})

    with pytest.raises(Refused) as told:
        sendgrid.post(sendgrid.build_request(huge, [copy("ann")], attempt=ATTEMPT))
    assert told.value.status == 413


@pytest.mark.parametrize(
    "fault", ["credits_used_up", "key_revoked", "from_not_verified", "redirect"]
)
def test_an_account_that_may_not_send_raises_account_locked(
    standin: Standin, sendgrid: SendGridMailer, fault: str
) -> None:
    before = standin.stats()["requests"]
    standin.push_fault(fault)

    with pytest.raises(AccountLocked):
        sendgrid.post(request_for(sendgrid))
    assert standin.stats()["requests"] == before + 1


def test_too_many_requests_wait_for_the_reset(standin: Standin, sendgrid: SendGridMailer) -> None:
    standin.push_fault("too_many_requests", seconds=60)

    with pytest.raises(Unavailable) as told:
        sendgrid.post(request_for(sendgrid))
    assert told.value.retry_after is not None
    assert 50 < told.value.retry_after <= 60


def test_too_many_requests_without_a_reset_have_no_retry_time(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    standin.push_fault("too_many_requests_bare")

    with pytest.raises(Unavailable) as told:
        sendgrid.post(request_for(sendgrid))
    assert told.value.retry_after is None


@pytest.mark.parametrize("fault", ["refuse_500", "refuse_502", "refuse_503"])
def test_a_server_error_is_uncertain(
    standin: Standin, sendgrid: SendGridMailer, fault: str
) -> None:
    standin.push_fault(fault)

    with pytest.raises(Uncertain, match=fault[-3:]):
        sendgrid.post(request_for(sendgrid))


@pytest.mark.parametrize("fault", ["accept_then_500", "accept_then_drop", "truncated"])
def test_a_lost_answer_is_uncertain_and_the_request_is_not_repeated(
    standin: Standin, sendgrid: SendGridMailer, fault: str
) -> None:
    before = standin.stats()["accepted_requests"]
    standin.push_fault(fault)

    with pytest.raises(Uncertain):
        sendgrid.post(request_for(sendgrid))
    assert standin.stats()["accepted_requests"] == before + 1


@pytest.mark.parametrize("fault", ["refuse_unread", "reset_mid_body"])
def test_a_broken_connection_is_uncertain_and_not_retried(
    standin: Standin, sendgrid: SendGridMailer, fault: str
) -> None:
    before = standin.stats()["accepted_requests"]
    standin.push_fault(fault)

    with pytest.raises(Uncertain):
        sendgrid.post(request_for(sendgrid))
    assert standin.stats()["accepted_requests"] == before


def test_a_timeout_is_uncertain(standin: Standin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nif.mail.sendgrid.READ_SECONDS", 0.2)
    mailer = SendGridMailer(standin.api_key, standin.url, connections=1)
    standin.push_fault("accept_then_hang", seconds=30.0)

    with pytest.raises(Uncertain, match="ReadTimeout"):
        mailer.post(request_for(mailer))


def test_a_refused_connection_means_nothing_was_accepted() -> None:
    mailer = SendGridMailer(KEY, "http://127.0.0.1:1", connections=1)

    with pytest.raises(Unavailable) as told:
        mailer.post(request_for(mailer))
    assert told.value.retry_after is None


def test_sendgrid_cannot_tell_what_was_accepted(sendgrid: SendGridMailer) -> None:
    assert sendgrid.was_accepted(ATTEMPT) is None


def test_addresses_are_added_to_and_removed_from_the_providers_list(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    odd = "o/d+%25@example.com"
    sendgrid.suppress(["ann@example.com", odd])
    for _ in range(2):
        sendgrid.unsuppress(odd)
    pages = sendgrid.list_suppressions(datetime(2020, 1, 1, tzinfo=UTC))

    assert [one.address for page in pages for one in page] == ["ann@example.com"]
    with pytest.raises(Refused):
        sendgrid.suppress(["nobody"])
    sendgrid.unsuppress("ann@example.com")


def test_transactional_email_bypasses_the_providers_unsubscribe_list_and_editions_do_not(
    standin: Standin, sendgrid: SendGridMailer
) -> None:
    """Somebody who wants mail again gets the confirmation mail."""
    email = MessageCopy("ann@example.com", {"nif_l": "1"}, {}, {})
    bodies = [body(email), body(copy("ann")), body(email, copy("ann"))]

    bypass = {"bypass_unsubscribe_management": {"enable": True}}
    assert [one.get("mail_settings") for one in bodies] == [bypass, None, None]
    assert sendgrid.post(sendgrid.build_request(MESSAGE, [email], attempt=ATTEMPT))
