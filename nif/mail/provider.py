"""The seam to whoever carries the mail, and the four ways in which a request can end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from nif.errors import NifError
from nif.mail.message import Message, MessageCopy

MAX_COPIES_PER_REQUEST = 1000
"""Copies in one request: SendGrid takes no more (v3 Mail Send, personalizations)."""


@dataclass(frozen=True)
class BatchRequest:
    """A request ready to go: packed before, so that posting is nothing but the network."""

    attempt: str
    size: int
    content: object


@dataclass(frozen=True)
class ProviderProblem:
    """One thing that the provider found wrong.

    `field` is what it named, `copy` the index of the copy that this is about, where it is one.
    """

    message: str
    field: str | None = None
    copy: int | None = None


@dataclass(frozen=True)
class Fence:
    """Has a parcel wait at the provider until `goes_out_at`: so long it can be recalled by `id`."""

    id: str
    goes_out_at: datetime


class ProviderSuppression(NamedTuple):
    """An address on one of the provider's own lists, where it mails nobody any more."""

    address: str
    kind: str
    since: datetime


class Mailer(Protocol):
    """Carries messages. A parcel is taken as a whole or not at all.

    `has_suppression_list` says that the provider has a list of its own of whom it mails no more.
    """

    has_suppression_list: bool

    def build_request(
        self,
        message: Message,
        copies: Sequence[MessageCopy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> BatchRequest: ...

    def post(self, parcel: BatchRequest) -> str | None:
        """Hand a parcel over; returns the provider's own id for it, where it gave one.

        Raises Refused, Unavailable or Locked when it was certainly not taken, and Uncertain when
        nobody can know.
        """
        ...

    def was_accepted(self, attempt: str) -> bool | None:
        """Was the parcel of this attempt taken? None where only events can tell."""
        ...

    def create_fence(self) -> str | None:
        """A new id for a fence; None where the provider has none. Raises as `post` does."""
        ...

    def recall(self, fence_id: str) -> bool:
        """Have everything under a fence thrown away, come what may; False where that is refused.

        It is in time only while the provider says so: SendGrid asks for ten minutes.
        """
        ...

    def delete_fence(self, fence_id: str) -> None:
        """Give back the place that a recall took, long after everything under it is gone."""
        ...

    def list_suppressions(self, since: datetime) -> Iterator[Sequence[ProviderSuppression]]:
        """The provider's own lists from `since` on, in pages. Raises NotTaken or Uncertain."""
        ...

    def suppress(self, addresses: Sequence[str]) -> None:
        """Put up to 500 addresses on the provider's list of unsubscribes, all or none.

        Who is on it stays so. Raises as `post` does.
        """
        ...

    def unsuppress(self, address: str) -> None:
        """Take an address off that list, and off no other; nothing where it is not on it."""
        ...


class NotAccepted(NifError):
    """The parcel was certainly not taken."""


@dataclass
class Refused(NotAccepted):
    """This parcel will never be taken as it is: 400, 413 and their like."""

    status: int
    problems: list[ProviderProblem] = field(default_factory=list)

    def __str__(self) -> str:
        return "; ".join(p.message for p in self.problems) or f"refused with status {self.status}"


@dataclass
class Unavailable(NotAccepted):
    """Nobody takes parcels now: no connection, or too many requests.

    `wait` is in seconds, where the provider said for how long.
    """

    reason: str
    retry_after: float | None = None
    is_limit: bool = False

    def __str__(self) -> str:
        return self.reason


@dataclass
class AccountLocked(NotAccepted):
    """The account may not send: its key, its sender, its credits. A person has to act."""

    reason: str
    status: int = 403

    def __str__(self) -> str:
        return self.reason


@dataclass
class Uncertain(NifError):
    """The parcel may have been taken or not: no answer, a broken one, or any 5xx."""

    reason: str

    def __str__(self) -> str:
        return self.reason
