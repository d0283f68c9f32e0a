"""The interface to a mail provider, and the four ways in which a request can fail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from nif.errors import NifError
from nif.mail.message import Message, MessageCopy

MAX_COPIES_PER_REQUEST = 1000
"""SendGrid accepts no more in one request (v3 Mail Send, personalizations)."""

INSTALLATION_MARK = "nif_i"
"""The custom argument that names the installation: several may share an account."""

MESSAGES_SHOWN = 5
"""A refusal of many copies says so many different things at most."""


@dataclass(frozen=True)
class BatchRequest:
    """A request that is ready to be posted: it was built before, so posting is only network."""

    attempt: str
    size: int
    content: object


@dataclass(frozen=True)
class ProviderProblem:
    """One problem that the provider reported.

    `field` is the field that it named. `copy` is the index of the copy whose address is at fault,
    and None where the problem is another one.
    """

    message: str
    field: str | None = None
    copy: int | None = None


@dataclass(frozen=True)
class Fence:
    """Delays a batch at the provider until `goes_out_at`; until then `id` can recall it."""

    id: str
    goes_out_at: datetime


class ProviderSuppression(NamedTuple):
    """An address on one of the provider's own suppression lists."""

    address: str
    kind: str
    since: datetime


class Mailer(Protocol):
    """Posts messages. A request is accepted as a whole or not at all.

    What is implemented here is a provider without delayed batches and without a suppression list,
    which has no events either. `reports_by_events`: whether it accepted an attempt of which no
    answer came is known by its events alone.
    """

    has_suppression_list: bool = False
    reports_by_events: bool = False

    def build_request(
        self,
        message: Message,
        copies: Sequence[MessageCopy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> BatchRequest: ...

    def post(self, request: BatchRequest) -> str | None:
        """Post a request; returns the provider's id for it, where it gave one.

        Raises Refused, Unavailable or AccountLocked where it was certainly not accepted, and
        Uncertain where that cannot be known.
        """
        ...

    def was_accepted(self, attempt: str) -> bool | None:
        """Was the request of this attempt accepted? None where only events can tell."""
        return None

    def create_fence(self) -> str | None:
        """A new id for a fence; None where the provider has none. Raises like `post`."""
        return None

    def recall(self, fence_id: str) -> bool:
        """Cancel everything under a fence, even what arrives later; False where that is refused.

        The provider sets a limit: SendGrid needs ten minutes before the mail goes out.
        """
        return False

    def delete_fence(self, fence_id: str) -> None:
        """Free the slot that a recall occupies, long after its batch is gone."""
        return

    def list_suppressions(self, since: datetime) -> Iterator[Sequence[ProviderSuppression]]:
        """Pages of the provider's suppression lists since `since`. Raises like `post`."""
        return iter(())

    def suppress(self, addresses: Sequence[str]) -> None:
        """Add up to 500 addresses to the provider's unsubscribe list, all or none.

        Addresses already on it stay. Raises like `post`.
        """
        return

    def unsuppress(self, address: str) -> None:
        """Remove an address from the provider's unsubscribe list only; no error if it is absent."""
        return


class NotAccepted(NifError):
    """The request was certainly not accepted."""


@dataclass
class Refused(NotAccepted):
    """The request will never be accepted as it is: 400 or 413."""

    status: int
    problems: list[ProviderProblem] = field(default_factory=list)

    def __str__(self) -> str:
        messages = list(dict.fromkeys(problem.message for problem in self.problems))
        more = ["…"] if len(messages) > MESSAGES_SHOWN else []
        return "; ".join(messages[:MESSAGES_SHOWN] + more) or f"refused with status {self.status}"


@dataclass
class _WithReason:
    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass
class Unavailable(_WithReason, NotAccepted):
    """The provider accepts nothing now: no connection, or too many requests.

    `retry_after` is in seconds, where the provider named a time.
    """

    retry_after: float | None = None
    is_limit: bool = False


@dataclass
class AccountLocked(_WithReason, NotAccepted):
    """The account may not send: its key, sender or credits. A person has to act."""

    status: int = 403


@dataclass
class Uncertain(_WithReason, NifError):
    """The request may or may not have been accepted: no answer, a broken one, or any 5xx."""
