"""What SendGrid's answers mean: taken, refused, not now, not at all, or nobody can know."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite

import orjson

from nif.logs import redact
from nif.mail.mailer import Locked, Problem, Refused, Unavailable, Uncertain


def check(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Return for any 2xx. Raises Refused, Unavailable, Locked or Uncertain for all the rest."""
    if 200 <= status < 300:
        return
    problems = _problems(body)
    said = "; ".join(problem.message for problem in problems) or f"status {status}"
    if status in {400, 413}:
        raise Refused(status, problems)
    if status == 429:
        wait = _seconds_to_wait(headers)
        raise Unavailable("SendGrid asked us to slow down (429)", wait, is_limit=True)
    if 300 <= status < 500:
        raise Locked(f"SendGrid answered {status}: {said}", status)
    raise Uncertain(f"SendGrid answered {status}")


def _problems(body: bytes) -> list[Problem]:
    """What the answer names; nothing where it is not the documented JSON (413 and 502 are HTML)."""
    try:
        errors = orjson.loads(body)["errors"]
        return [
            Problem(redact(str(e["message"])[:500]), e.get("field"), _copy_index(e.get("field")))
            for e in errors
        ]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return []


def _copy_index(field: object) -> int | None:
    """The N of `personalizations.N.to.0.email`; None where it is not the address that is wrong.

    Headers, substitutions and arguments stand under a copy too, but are the mail's own fault.
    """
    parts = field.split(".") if isinstance(field, str) else []
    about_address = len(parts) == 2 or parts[2:3] == ["to"]
    if about_address and parts[0] == "personalizations" and parts[1].isdecimal():
        return int(parts[1])
    return None


def _seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Until `X-RateLimit-Reset` (Unix seconds), or for `Retry-After` (seconds, or a date).

    At least a second and at most a quarter of an hour; None where neither can be read.
    """
    reset, after = headers.get("X-RateLimit-Reset"), headers.get("Retry-After")
    for wait in (_number(reset, -time.time()), _number(after), _until(after)):
        if wait is not None:
            return min(max(wait, 1.0), 900.0)
    return None


def _number(text: str | None, plus: float = 0.0) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value + plus if isfinite(value) else None


def _until(text: str | None) -> float | None:
    """The seconds until an HTTP date (RFC 9110 section 5.6.7)."""
    try:
        return parsedate_to_datetime(text or "").timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
