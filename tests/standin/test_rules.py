"""Every rule about a body refuses in SendGrid's words, and a body of NIF's keeps them all."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from tests.standin import error_messages, json_types, rules
from tests.standin.account import Account
from tests.standin.recipients import RESERVED_HEADERS
from tests.standin.sample_mail import mail, reader

EMAIL = {"email": "ann@example.com"}


def errors(body: dict[str, Any], account: Account | None = None) -> dict[str | None, str]:
    """Field and message of each error in the answer to a body."""
    answer = rules.check_mail(body, account or Account())
    found = orjson.loads(answer.body)["errors"] if answer else []
    return {error["field"]: error["message"] for error in found}


def one(**changes: Any) -> dict[str, Any]:
    """A mail to one reader whose personalization is changed."""
    return mail({**reader(1), **changes})


def many(count: int) -> list[dict[str, str]]:
    return [{"email": f"reader{number}@example.com"} for number in range(count)]


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in mail().items() if name != key}


LATE = int(time.time()) + 73 * 3600
CASES: list[tuple[dict[str, Any], str | None, str]] = [
    (mail(personalizations=[]), "personalizations", error_messages.NO_PERSONALIZATION),
    (without("personalizations"), "personalizations", error_messages.NO_PERSONALIZATION),
    (
        mail(*(reader(n) for n in range(1001))),
        "personalizations",
        error_messages.TOO_MANY_RECIPIENTS,
    ),
    (
        one(to=many(600), cc=many(1200)[600:]),
        "personalizations",
        error_messages.TOO_MANY_RECIPIENTS,
    ),
    (one(to=[]), "personalizations.0.to", error_messages.NO_TO),
    (one(to=[{"email": "ann"}]), "personalizations.0.to.0.email", error_messages.INVALID_ADDRESS),
    (one(to=[{"name": "Ann"}]), "personalizations.0.to.0.email", error_messages.INVALID_ADDRESS),
    (one(to=[{"email": "ä@example.com"}]), "personalizations.0.to.0.email", "Does not contain a v"),
    (
        one(to=[{"email": f"{'a' * 320}@example.com"}]),
        "personalizations.0.to.0.email",
        "The To email exceeds the maximum total length of 320 characters",
    ),
    (
        one(cc=[{"email": f"{'a' * 320}@example.com"}]),
        "personalizations.0.cc.0.email",
        "The CC email exceeds the maximum total length of 320 characters",
    ),
    (
        one(to=[EMAIL], cc=[{"email": "Ann@Example.com"}]),
        "personalizations.0",
        "Each email address in the personalization block should be unique between to, cc, and bcc. "
        "We found the first duplicate instance of [ann@example.com] in the personalizations.0.cc "
        "field.",
    ),
    (
        mail(reader(1, "ann@example.com"), reader(2, "Ann@example.com")),
        "personalizations",
        "Each unique email address in the personalizations array should only be included once. "
        "You have included [ann@example.com] more than once.",
    ),
    (one(custom_args={}), "personalizations.0.custom_args", error_messages.CUSTOM_ARGS_EMPTY),
    (mail(custom_args={}), "custom_args", error_messages.CUSTOM_ARGS_EMPTY),
    (mail(custom_args="nif"), "custom_args", error_messages.CUSTOM_ARGS_A_STRING),
    (
        mail(reader(1), custom_args={"key": "v" * 9_990}),
        "personalizations.0.custom_args",
        error_messages.CUSTOM_ARGS_TOO_LARGE,
    ),
    (
        one(substitutions={"%nif.name%": "v" * 10_000}),
        "personalizations.0.substitutions",
        error_messages.SUBSTITUTIONS_TOO_LARGE,
    ),
    (
        mail(template_id="d-1"),
        "personalizations.0.substitutions",
        error_messages.SUBSTITUTIONS_IN_TEMPLATE,
    ),
    *(
        (
            one(headers={name: "x"}),
            "personalizations.0.headers",
            "Header cannot be one of the reserved keys.",
        )
        for name in sorted(RESERVED_HEADERS)
    ),
    (mail(headers={"DKIM-Signature": "x"}), "headers", "Header can not be one of the reserved"),
    (
        one(headers={"X Y": "x"}),
        "personalizations.0.headers",
        "Header keys cannot contain non-ASCII characters or empty spaces.",
    ),
    (mail(headers={"X-Ä": "x"}), "headers", "Header keys cannot contain non-ASCII characters and"),
    (
        one(headers={"X-A": "", "x-a": ""}),
        "personalizations.0.headers",
        error_messages.HEADER_DUPLICATE,
    ),
    (one(headers={"X-A": "a\r\nBcc: b"}), "personalizations.0.headers", "stand-in: a header"),
    (mail(send_at="soon"), "send_at", error_messages.SEND_AT_TYPE),
    (mail(send_at=LATE), "send_at", error_messages.SEND_AT_TOO_LATE),
    (one(send_at=LATE * 1000), "personalizations.0.send_at", error_messages.SEND_AT_TOO_LATE),
    (mail(subject=""), "subject", error_messages.SUBJECT_EMPTY),
    (one(subject=""), "personalizations.0.subject", error_messages.SUBJECT_EMPTY),
    (without("subject"), "subject", error_messages.SUBJECT_MISSING),
    (without("content"), "content", error_messages.CONTENT_MISSING),
    (mail(content=[]), "content", error_messages.CONTENT_EMPTY),
    (mail(content=mail()["content"][::-1]), "content", error_messages.CONTENT_ORDER),
    (
        mail(content=[{"type": "text/plain", "value": ""}]),
        "content.0.value",
        error_messages.CONTENT_VALUE_EMPTY,
    ),
    (
        mail(content=[{"type": "", "value": "x"}]),
        "content.0.type",
        error_messages.CONTENT_TYPE_EMPTY,
    ),
    (
        mail(content=[{"type": "text/plain; charset=utf-8", "value": "x"}]),
        "content.0.type",
        error_messages.CONTENT_TYPE_CHARACTERS,
    ),
    (
        mail(categories=[str(n) for n in range(11)]),
        "categories",
        "There is a limit of 10 categories for each email that is sent. You provided 11 categories",
    ),
    (mail(categories="news"), "categories", error_messages.CATEGORIES_TYPE),
    (mail(categories=["a" * 256]), "categories", "Each category must not be longer than 255 char"),
    (mail(categories=["a", "a"]), "categories", "The categories must be a unique list, and you"),
    (mail(categories=["ä"]), "categories", error_messages.CATEGORY_NOT_ASCII),
    (mail(asm={"group_id": "1"}), "asm.group_id", error_messages.ASM_GROUP_TYPE),
    (mail(asm={"group_id": 7}), "asm.group_id", "The ASM group ID must be a valid Group ID on you"),
    (
        mail(asm={"group_id": 1, "groups_to_display": list(range(26))}),
        "asm.groups_to_display",
        error_messages.ASM_DISPLAY_TOO_MANY,
    ),
    (
        mail(asm={"group_id": 1, "groups_to_display": ["1"]}),
        "asm.groups_to_display",
        error_messages.ASM_DISPLAY_TYPE,
    ),
    (mail(ip_pool_name="news"), "ip_pool_name", "The IP Pool name must be a valid pool name for"),
    (mail(ip_pool_name=1), "ip_pool_name", error_messages.IP_POOL_TYPE),
    (mail(batch_id="b"), "batch_id", "stand-in: unknown batch_id"),
    (mail(batch_id=1), "batch_id", error_messages.BATCH_ID_TYPE),
    (mail(template_id="t"), "template_id", "The Template ID must be a valid template id for your"),
    (
        mail(mail_settings={"sandbox_mode": {"enable": "true"}}),
        "mail_settings.sandbox_mode.enable",
        "The sandbox mode enable param should be a boolean value.",
    ),
    (
        mail(tracking_settings={"click_tracking": {"enable_text": 0}}),
        "tracking_settings.click_tracking.enable_text",
        "The click tracking enable text must be a boolean value.",
    ),
    (
        mail(mail_settings={"bypass_list_management": {}, "bypass_spam_management": {}}),
        "mail_settings",
        "stand-in: bypass_list_management excludes",
    ),
    (mail(reply_to=EMAIL, reply_to_list=[EMAIL]), "reply_to", "stand-in: reply_to and"),
    (mail(reply_to={"email": "ann"}), "reply_to.email", error_messages.INVALID_ADDRESS),
    (mail(reply_to_list=[{"email": ""}]), "reply_to_list.0.email", error_messages.INVALID_ADDRESS),
    (one(to=[{**EMAIL, "name": "A, B"}]), "personalizations.0.to.0.name", "stand-in: a name with"),
    (one(to=[{**EMAIL, "age": "4"}]), "personalizations.0.to.0", "stand-in: an address has keys"),
    (one(tag="x"), "personalizations.0", "stand-in: unknown keys ['tag']"),
    (mail(tag="x"), None, "stand-in: unknown keys ['tag']"),
    (without("from"), "from", error_messages.FROM_MISSING),
    ({**mail(), "from": {"email": "news"}}, "from.email", error_messages.INVALID_ADDRESS),
    (
        one(**{"from": {"email": "news@other.example"}}),
        "personalizations.0.from",
        "stand-in: the domain differs",
    ),
    (
        {**mail(), "from": {"email": "news@unverified.example"}},
        "from",
        error_messages.UNVERIFIED_SENDER,
    ),
]


@pytest.mark.parametrize(("body", "field", "message"), CASES)
def test_a_broken_rule_is_answered_with_its_message(
    body: dict[str, Any], field: str | None, message: str
) -> None:
    assert not json_types.has_wrong_types(body)

    assert errors(body, Account(asm_groups={1}))[field].startswith(message)


def test_mail_as_nif_posts_it_breaks_no_rule() -> None:
    assert errors(mail(*(reader(n) for n in range(1000)))) == {}


def test_all_errors_come_in_one_answer() -> None:
    body = mail(reader(1), reader(2, "nobody"), reader(3, "none@"), subject="")

    assert list(errors(body)) == [
        "subject",
        "personalizations.1.to.0.email",
        "personalizations.2.to.0.email",
    ]


def test_too_many_personalizations_are_counted() -> None:
    answer = rules.check_mail(mail(*(reader(n) for n in range(1001))), Account())

    assert answer is not None
    assert b"You have provided 1001 personalizations." in answer.body


def test_the_help_link_of_an_error_names_the_field_without_its_index() -> None:
    answer = rules.check_mail(one(to=[]), Account())

    assert answer is not None
    assert orjson.loads(answer.body)["errors"][0]["help"] == (
        "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html"
        "#message.personalizations.to"
    )


def test_duplicates_across_personalizations_can_be_allowed() -> None:
    body = mail(reader(1, "ann@example.com"), reader(2, "ann@example.com"))

    assert errors(body, Account(cross_dup="allow")) == {}


def test_an_unverified_sender_is_answered_with_403_and_used_up_credits_with_401() -> None:
    stranger = rules.check_mail({**mail(), "from": {"email": "a@b.example"}}, Account())
    broke = rules.check_mail(mail(), Account(credits=0))

    assert stranger is not None
    assert stranger.status == 403
    assert broke is not None
    assert broke.status == 401
    assert error_messages.NO_CREDITS.encode() in broke.body
