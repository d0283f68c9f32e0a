"""A mailer that keeps what it is given and fails as it is told."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime

from nif.mail.message import Message, MessageCopy
from nif.mail.provider import (
    BatchRequest,
    Fence,
    ProviderProblem,
    ProviderSuppression,
    Refused,
    Uncertain,
)


class FakeMailer:
    """Takes parcels whole, refuses addresses in `refuses`, and raises what stands in `raises`.

    Each entry of `raises` serves one request: an exception to raise, or None to take it. With
    `takes_and_raises` a request whose end is Uncertain is taken, as when an answer is lost.
    `breaks`, where set, is raised by all that is not posting.
    """

    has_suppression_list = True

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.raises: deque[Exception | None] = deque()
        self.takes_and_raises = False
        self.names_the_bad_one = True
        self.posted: list[tuple[str, Message, Sequence[MessageCopy]]] = []
        self.posts = 0
        self.knows = False
        self.unwritable: set[str] = set()
        self.breaks: Exception | None = None
        self.fences = 0
        self.fenced: dict[str, str] = {}
        self.recalls = True
        self.recall_asks = 0
        self.recalled: list[str] = []
        self.pages: list[Sequence[ProviderSuppression]] = []
        self.pulls: list[datetime] = []
        self.blocklist: set[str] = set()
        self.tellings = 0

    def build_request(
        self,
        message: Message,
        copies: Sequence[MessageCopy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> BatchRequest:
        for copy in copies:
            if copy.address in self.unwritable:
                raise ValueError(copy.address)
        if fence:
            self.fenced[fence.id] = attempt
        return BatchRequest(attempt, len(copies), (message, copies))

    def post(self, request: BatchRequest) -> str | None:
        self.posts += 1
        message, copies = request.content
        error = self.raises.popleft() if self.raises else None
        if error is not None:
            if self.takes_and_raises and isinstance(error, Uncertain):
                self.posted.append((request.attempt, message, copies))
            raise error
        self._check(copies)
        if request.attempt not in {self.fenced.get(fence_id) for fence_id in self.recalled}:
            self.posted.append((request.attempt, message, copies))
        return f"id-{request.attempt[:8]}"

    def was_accepted(self, attempt: str) -> bool | None:
        return attempt in {one for one, _, _ in self.posted} if self.knows else None

    def create_fence(self) -> str | None:
        self._break()
        self.fences += 1
        return f"fence-{self.fences}"

    def recall(self, fence_id: str) -> bool:
        self.recall_asks += 1
        self._break()
        if not self.recalls:
            return False
        self.recalled.append(fence_id)
        self.posted = [one for one in self.posted if one[0] != self.fenced.get(fence_id)]
        return True

    def delete_fence(self, fence_id: str) -> None:
        self._break()
        self.recalled.remove(fence_id)

    def list_suppressions(self, since: datetime) -> Iterator[Sequence[ProviderSuppression]]:
        self.pulls.append(since)
        yield from self.pages
        self._break()

    def suppress(self, addresses: Sequence[str]) -> None:
        self._tell()
        self.blocklist |= set(addresses)

    def unsuppress(self, address: str) -> None:
        self._tell()
        self.blocklist.discard(address)

    def addresses(self) -> list[str]:
        """Everyone who was mailed, once for each mail."""
        return [copy.address for _, _, copies in self.posted for copy in copies]

    def _tell(self) -> None:
        self.tellings += 1
        if self.breaks:
            raise self.breaks

    def _break(self) -> None:
        if self.breaks:
            raise self.breaks

    def _check(self, copies: Sequence[MessageCopy]) -> None:
        for index, copy in enumerate(copies):
            if copy.address in self.refuses:
                where = index if self.names_the_bad_one else None
                field = f"personalizations.{index}.to.0.email" if self.names_the_bad_one else None
                raise Refused(
                    400, [ProviderProblem("Does not contain a valid address.", field, where)]
                )
