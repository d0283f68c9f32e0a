"""What counts as an address, and which spellings of it are the same."""

import re
from typing import NamedTuple

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from nif.errors import Invalid

LONGEST = 254
SLIPS = {
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


_PLAIN = re.compile(
    r"([A-Za-z0-9_+'-]+(?:\.[A-Za-z0-9_+'-]+)*)"
    r"@([A-Za-z0-9]+(?:[.-][A-Za-z0-9]+)*\.([A-Za-z]{2,}))"
)
"""What nearly all addresses look like. Whatever it lets pass, the library lets pass alike; a test
holds the two against each other. It takes a thirtieth of the time, which imports need."""

_SHORT = 64
"""Within it, no part of an address can be longer than it may."""

_NO_REAL_ENDS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)


class Address(NamedTuple):
    """An address as it is written to, and the form that decides who is who."""

    written: str
    canonical: str


def read_address(typed: str) -> Address:
    """The address that someone typed.

    The domain is put in lower case and IDNA; the local part is kept, and compared without case.
    DNS is not asked: a resolver that is down would turn real people away.

    Raises Invalid, with a sentence for the field `email`.
    """
    plain = _plain(typed)
    if plain is not None:
        return plain
    typed = typed.strip().removeprefix("mailto:").strip("<> ")
    if not typed:
        raise Invalid({"email": "Type your email address, so that we know where to write."})
    if len(typed) > LONGEST:
        raise Invalid({"email": f"An email address has at most {LONGEST} characters."})
    return _plain(typed) or _by_the_library(typed)


def _plain(typed: str) -> Address | None:
    """None where the library has to judge; never for what it would refuse."""
    match = _PLAIN.fullmatch(typed) if len(typed) <= _SHORT else None
    if match is None or match[3].lower() in _NO_REAL_ENDS:
        return None
    lowered = typed.lower()
    if lowered == typed:
        return Address(typed, typed)
    if match[1].lower() in CASE_INSENSITIVE_MAILBOX_NAMES:
        return Address(lowered, lowered)
    return Address(f"{match[1]}@{match[2].lower()}", lowered)


def _by_the_library(typed: str) -> Address:
    try:
        found = validate_email(typed, check_deliverability=False, strict=True)
    except EmailNotValidError as error:
        raise Invalid({"email": f"This does not look like an email address. {error}"}) from None
    if found.ascii_email is None:
        raise Invalid(
            {"email": "We cannot write to addresses with such letters before the @ yet, sorry."}
        )
    return Address(found.ascii_email, found.ascii_email.lower())


def likely_slip(address: Address) -> str | None:
    """The address that was probably meant, where the domain is a well-known slip of the finger."""
    local, _, domain = address.written.rpartition("@")
    return f"{local}@{SLIPS[domain]}" if domain in SLIPS else None
