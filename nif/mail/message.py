"""What is mailed: one message, and the copies of it that go to its readers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Message:
    """What every reader of a message gets alike.

    Text and HTML may hold tags such as `%nif.unsubscribe%`, which each copy replaces.
    """

    from_address: str
    from_name: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Copy(NamedTuple):
    """What one reader's copy has of its own.

    `marks` come back with every event about the copy; they hold opaque ids, never an address.
    """

    address: str
    marks: dict[str, str]
    headers: dict[str, str]
    values: dict[str, str]


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with each tag replaced, as the provider replaces them."""
    for tag, value in values.items():
        text = text.replace(tag, value)
    return text
