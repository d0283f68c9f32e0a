"""Email addresses: which are valid, and which spellings are the same address."""

import re
from typing import NamedTuple

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from nif.errors import Invalid

MAX_ADDRESS_LENGTH = 254
DOMAIN_TYPOS = {
    "gmial.com": "gmail.com",
    "gmai.com": "gmail.com",
    "gmail.con": "gmail.com",
    "gmail.co": "gmail.com",
    "hotmial.com": "hotmail.com",
    "hotmail.con": "hotmail.com",
    "yaho.com": "yahoo.com",
    "yahoo.con": "yahoo.com",
    "outlok.com": "outlook.com",
    "outlook.con": "outlook.com",
    "iclod.com": "icloud.com",
    "icloud.con": "icloud.com",
}
"""Frequent typing errors. NIF suggests the correction and accepts the typed domain all the same,
because somebody may own it."""

_COMMON_FORM = re.compile(
    r"([A-Za-z0-9_+'-]+(?:\.[A-Za-z0-9_+'-]+)*)"
    r"@([A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*\.([A-Za-z]{2,}))"
)
"""The form of nearly all addresses. It takes a thirtieth of the library's time, which imports need.
A test checks that the library accepts whatever it matches, with the same result."""

_SHORT_ENOUGH = 64
"""An address of at most this length has no part that exceeds the limit for parts."""

_SPECIAL_USE_TLDS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


class EmailAddress(NamedTuple):
    """An address as mail is sent to it, and its canonical form, the same for all spellings."""

    written: str
    canonical: str


def parse_address(typed: str) -> EmailAddress:
    """Parse an address that somebody typed.

    The domain becomes lower case and IDNA. The local part keeps its case, but not in the canonical
    form. DNS is not asked: a resolver that is down would turn people away.

    Raises Invalid with a message for the field `email`.
    """
    address = _parse_common_form(typed)
    if address is not None:
        return address
    typed = typed.strip().removeprefix("mailto:").strip("<> ")
    if not typed:
        raise Invalid({"email": "Type your email address, so that we know where to write."})
    if len(typed) > MAX_ADDRESS_LENGTH:
        raise Invalid({"email": f"An email address has at most {MAX_ADDRESS_LENGTH} characters."})
    return _parse_common_form(typed) or _parse_with_library(typed)


def _parse_common_form(typed: str) -> EmailAddress | None:
    """The address; None where only the library can decide."""
    match = _COMMON_FORM.fullmatch(typed) if len(typed) <= _SHORT_ENOUGH else None
    if match is None or match[3].lower() in _SPECIAL_USE_TLDS:
        return None
    lowered = typed.lower()
    if lowered == typed:
        return EmailAddress(typed, typed)
    if match[1].lower() in CASE_INSENSITIVE_MAILBOX_NAMES:
        return EmailAddress(lowered, lowered)
    return EmailAddress(f"{match[1]}@{match[2].lower()}", lowered)


def _parse_with_library(typed: str) -> EmailAddress:
    try:
        validated = validate_email(typed, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise Invalid({"email": f"This does not look like an email address. {error}"}) from None
    if validated.ascii_email is None:
        raise Invalid(
            {"email": "We cannot write to addresses with such letters before the @ yet, sorry."}
        )
    return EmailAddress(validated.ascii_email, validated.ascii_email.lower())


def suggest_correction(address: EmailAddress) -> str | None:
    """The address that was probably meant, where the domain is a frequent typing error."""
    local, _, domain = address.written.rpartition("@")
    return f"{local}@{DOMAIN_TYPOS[domain]}" if domain in DOMAIN_TYPOS else None
