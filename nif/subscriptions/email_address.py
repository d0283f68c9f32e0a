"""What counts as an address, and which spellings of it are the same."""

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
"""Domains that people type for others. A hint, never a refusal: somebody may own them."""


_COMMON_FORM = re.compile(
    r"([A-Za-z0-9_+'-]+(?:\.[A-Za-z0-9_+'-]+)*)"
    r"@([A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*\.([A-Za-z]{2,}))"
)
"""What nearly all addresses look like. Whatever it lets pass, the library lets pass alike; a test
holds the two against each other. It takes a thirtieth of the time, which imports need."""

_SHORT_ENOUGH = 64
"""Within it, no part of an address can be longer than it may."""

_SPECIAL_USE_TLDS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


class EmailAddress(NamedTuple):
    """An address as it is written to, and the form that decides who is who."""

    written: str
    canonical: str


def parse_address(typed: str) -> EmailAddress:
    """The address that someone typed.

    The domain is put in lower case and IDNA; the local part is kept, and compared without case.
    DNS is not asked: a resolver that is down would turn real people away.

    Raises Invalid, with a sentence for the field `email`.
    """
    plain = _parse_common_form(typed)
    if plain is not None:
        return plain
    typed = typed.strip().removeprefix("mailto:").strip("<> ")
    if not typed:
        raise Invalid({"email": "Type your email address, so that we know where to write."})
    if len(typed) > MAX_ADDRESS_LENGTH:
        raise Invalid({"email": f"An email address has at most {MAX_ADDRESS_LENGTH} characters."})
    return _parse_common_form(typed) or _parse_with_library(typed)


def _parse_common_form(typed: str) -> EmailAddress | None:
    """None where the library has to judge; never for what it would refuse."""
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
        found = validate_email(typed, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise Invalid({"email": f"This does not look like an email address. {error}"}) from None
    if found.ascii_email is None:
        raise Invalid(
            {"email": "We cannot write to addresses with such letters before the @ yet, sorry."}
        )
    return EmailAddress(found.ascii_email, found.ascii_email.lower())


def suggest_correction(address: EmailAddress) -> str | None:
    """The address that was probably meant, where the domain is a well-known slip of the finger."""
    local, _, domain = address.written.rpartition("@")
    return f"{local}@{DOMAIN_TYPOS[domain]}" if domain in DOMAIN_TYPOS else None
