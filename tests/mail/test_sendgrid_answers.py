"""The meaning of SendGrid's answers."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from nif.mail.provider import AccountLocked, ProviderProblem, Refused, Unavailable, Uncertain
from nif.mail.sendgrid import raise_for_status


def errors(*problems: object) -> bytes:
    return orjson.dumps({"errors": problems})


def waits(headers: dict[str, str]) -> float | None:
    with pytest.raises(Unavailable) as told:
        raise_for_status(429, headers, b"")
    assert told.value.is_limit
    return told.value.retry_after


@pytest.mark.parametrize("status", range(200, 300))
def test_202_alone_is_an_acceptance(status: int) -> None:
    with nullcontext() if status == 202 else pytest.raises(Uncertain, match=f"{status} and not"):
        raise_for_status(status, {}, errors({"message": "Never mind."}))


@pytest.mark.parametrize(
    ("field", "index"),
    [
        ("personalizations.12.to.0.email", 12),
        ("personalizations.0", None),
        ("personalizations." + "9" * 5000 + ".to", 10**6),
        ("personalizations.3.to", 3),
        ("personalizations", None),
        ("personalizations.x", None),
        ("personalizations.².to", None),
        ("personalizations.0.today", None),
        ("personalizations.0.headers.List-Unsubscribe", None),
        ("personalizations.0.substitutions", None),
        ("personalizations.0.custom_args.nif_d", None),
        ("content.0.value", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_only_a_field_of_an_address_names_a_copy(field: object, index: int | None) -> None:
    with pytest.raises(Refused) as told:
        raise_for_status(400, {}, errors({"message": "Bad.", "field": field}))

    assert told.value.problems == [ProviderProblem("Bad.", field, index)]  # type: ignore[arg-type]
    assert str(told.value) == "Bad."


@pytest.mark.parametrize(
    "said",
    [b"", b"<html>413</html>", b"[]", b"{}", b'{"errors": null}', b'{"errors": [1]}', b"\xff"],
)
@pytest.mark.parametrize("status", [400, 413])
def test_a_refusal_with_an_unknown_body_is_a_refusal(status: int, said: bytes) -> None:
    with pytest.raises(Refused, match=f"refused with status {status}") as told:
        raise_for_status(status, {"Content-Type": "text/html"}, said)

    assert (told.value.status, told.value.problems) == (status, [])


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 406, 415, 301, 302, 307, 308])
@pytest.mark.parametrize(("said", "why"), [(errors({"message": "No."}), "No."), (b"<p>", "status")])
def test_a_status_that_only_a_person_can_fix_raises_account_locked(
    status: int, said: bytes, why: str
) -> None:
    with pytest.raises(AccountLocked, match=f"{status}: {why}") as told:
        raise_for_status(status, {}, said)

    assert told.value.status == status


@pytest.mark.parametrize("status", [100, 500, 502, 503, 504, 599])
def test_any_other_status_is_uncertain(status: int) -> None:
    with pytest.raises(Uncertain, match=str(status)):
        raise_for_status(status, {}, errors({"message": "Oops."}))


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "-5"}, 1),
        ({"Retry-After": "86400"}, 900),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"X-RateLimit-Reset": "0"}, 1),
        ({"X-RateLimit-Reset": "99999999999"}, 900),
        ({"X-RateLimit-Reset": "soon", "Retry-After": "7"}, 7),
    ],
)
def test_a_retry_time_is_between_one_and_900_seconds(
    headers: dict[str, str], wait: float | None
) -> None:
    assert waits(headers) == wait


def test_a_retry_time_may_be_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=60)
    wait = waits({"Retry-After": later.strftime("%a, %d %b %Y %H:%M:%S GMT")})

    assert wait is not None
    assert 50 < wait <= 60


@pytest.mark.parametrize(
    "date", ["Fri, 99 Nov 2026 12:00:00 GMT", "Fri, 20 Nov 99999 12:00:00 GMT"]
)
def test_an_invalid_date_is_no_retry_time(date: str) -> None:
    assert waits({"Retry-After": date}) is None


def test_an_address_in_a_problem_is_redacted() -> None:
    with pytest.raises(Refused) as told:
        raise_for_status(
            400, {}, errors({"message": "Twice: ann@example.com" + "x" * 9000, "field": None})
        )

    assert "ann@example.com" not in str(told.value)
    assert len(str(told.value)) <= 520
