"""The mailbox says in a sentence what is wrong with mail that SendGrid would have taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.standin.account import Account
from tests.standin.mailbox import Mailbox
from tests.standin.sample_mail import HTML, LEAVE, POSTAL_ADDRESS, TEXT, TRACKING_OFF, mail, reader


def problems(*bodies: dict[str, Any], **state: Any) -> list[str]:
    account = Account()
    account.change(state)
    mailbox = Mailbox(account)
    for body in bodies:
        mailbox.take(body, "id")
    return mailbox.problems


def changed(key: str, **values: str) -> dict[str, Any]:
    """A mail to one reader, with some values of one object of its personalization replaced."""
    one = reader(1)
    return mail({**one, key: {**one[key], **values}})


def parts(text: str = TEXT, html: str = HTML) -> list[dict[str, str]]:
    return [{"type": "text/plain", "value": text}, {"type": "text/html", "value": html}]


def test_correct_mail_has_no_problem() -> None:
    assert problems(mail(reader(1), reader(2)), postal_address=POSTAL_ADDRESS) == []


def test_tags_are_replaced_in_what_the_reader_sees() -> None:
    mailbox = Mailbox(Account())
    mailbox.take(mail(reader(1), reader(2)), "id")

    (seen,) = mailbox.find("Reader2@example.com")

    assert seen["subject"] == "News for Reader 2"
    assert seen["headers"]["List-Unsubscribe"].strip("<>") in seen["text"]
    assert seen["headers"]["List-Id"] == "<weekly.example.com>"
    assert seen["custom_args"]["nif_d"] == "2"
    assert "%nif." not in seen["html"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (mail(subject="%nif.forgotten%"), "%nif.forgotten% is left unreplaced in the subject"),
        (changed("substitutions", **{"%nif.name%": "%nif.x%"}), "left unreplaced in the html"),
        (changed("substitutions", **{"%nif.name%": "<b>Ann</b>"}), "stands unescaped in the html"),
        (changed("substitutions", **{"%nif.name%": "A & B"}), "stands unescaped in the html"),
        (mail(filler="é" * 52_000), "the html is larger than 102400 bytes"),
        (mail(content=parts()[1:]), "there is no text part"),
        (mail(content=parts(html="<html>x</html>")), "the html has no lang"),
        (mail(content=parts(html="<html lang=en>x</html>")), "the html has no link to unsubscribe"),
        (mail(content=parts(text=POSTAL_ADDRESS)), "the text has no link to unsubscribe"),
        (mail(content=parts(text=LEAVE)), "looks like a postal address"),
        (
            changed("headers", **{"List-Unsubscribe": "<mailto:leave@example.com>"}),
            "List-Unsubscribe has 0 https links",
        ),
        (
            changed("headers", **{"List-Unsubscribe": "<https://a.example>, <https://b.example>"}),
            "List-Unsubscribe has 2 https links",
        ),
        (
            changed("headers", **{"List-Unsubscribe-Post": "one-click"}),
            "List-Unsubscribe-Post is not List-Unsubscribe=One-Click",
        ),
        (mail(headers={}), "there is no List-Id"),
        (mail({**reader(1), "cc": [{"email": "b@example.com"}]}), "shares its mail with other"),
        (changed("custom_args", reader="ann@example.com"), "reader tells who the reader is"),
        (changed("custom_args", event="x"), "event collides with a key of events"),
        (mail(tracking_settings={}), "open_tracking.enable is not explicitly false"),
        (
            mail(tracking_settings={**TRACKING_OFF, "subscription_tracking": {"enable": True}}),
            "subscription_tracking.enable is not explicitly false",
        ),
        (mail(asm={"group_id": 1}), "asm is set"),
        (mail(reader(1), reader(2, edition=2)), "have 2 different nif_e"),
    ],
)
def test_a_problem_is_reported_in_a_sentence(body: dict[str, Any], sentence: str) -> None:
    assert any(sentence in problem for problem in problems(body))


def test_mail_accepted_twice_is_reported() -> None:
    assert problems(mail(reader(1)), mail(reader(1))) == [
        "reader1@example.com: delivery 1 accepted twice",
        "reader1@example.com: edition 1 accepted twice",
    ]


def test_a_reader_has_one_delivery_of_a_send() -> None:
    first, again, next_send = (
        {**reader(number), "custom_args": {"nif_d": delivery}, "to": [{"email": "a@example.com"}]}
        for number, delivery in [(1, "7.1"), (1, "7.2"), (1, "8.1")]
    )

    assert problems(mail(first), mail(again), mail(next_send)) == [
        "a@example.com: edition 7 accepted twice"
    ]


def test_a_link_to_unsubscribe_belongs_to_one_reader() -> None:
    shared = {**reader(2), **{key: reader(1)[key] for key in ("headers", "substitutions")}}

    assert problems(mail(reader(1)), mail(shared)) == [
        "reader2@example.com: shares its unsubscribe link with reader1@example.com"
    ]


def test_mail_to_unconfirmed_or_suppressed_subscribers_is_reported() -> None:
    told = problems(mail(reader(1)), mail(reader(2)), confirmed=[], told=["reader2@example.com"])

    assert told == [
        "reader1@example.com: mailed although it never confirmed",
        "reader2@example.com: mailed although its suppression was reported",
        "reader2@example.com: mailed although it never confirmed",
    ]


def test_a_rate_above_the_limit_is_reported() -> None:
    (problem,) = problems(mail(reader(1)), mail(reader(2), reader(3)), ramp=2)

    assert problem == "3 recipients within 3600 s are above the ramp of 2"


def test_a_transactional_email_needs_no_list_headers() -> None:
    confirmation = {"to": [{"email": "ann@example.com"}], "custom_args": {"nif_l": "7"}}
    body = mail(confirmation, subject="Please confirm", headers={})
    body["content"] = parts("Press the button.", '<html lang="en">Press the button.</html>')

    assert problems(body) == []


def test_a_light_mailbox_checks_only_a_sample_of_its_mail() -> None:
    mailbox = Mailbox(Account(), light=True)
    mailbox.take(mail(*(reader(n) for n in range(250))), "id")

    assert len(mailbox.find()) == 3
