"""A mail provider in memory, which fails as a test tells it."""

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
from nif.sends.canaries import CANARY_MARK


class FakeMailer:
    """Accepts whole requests, refuses those with an address in `refuses`, and raises `raises`.

    Each entry of `raises` is for one request: an exception to raise, or None to accept it. With
    `accepts_when_uncertain` it accepts a request and raises Uncertain, as when an answer is lost.
    `failure`, where set, is raised by all methods but `post`. `canaries` are the marks of the
    canaries that it accepted.
    """

    has_suppression_list = True
    reports_by_events = True

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.raises: deque[Exception | None] = deque()
        self.accepts_when_uncertain = False
        self.names_bad_address = True
        self.posted: list[tuple[str, Message, Sequence[MessageCopy]]] = []
        self.canaries: list[str] = []
        self.post_count = 0
        self.knows_acceptance = False
        self.unrenderable: set[str] = set()
        self.failure: Exception | None = None
        self.fence_count = 0
        self.attempts_by_fence: dict[str, str] = {}
        self.allows_recall = True
        self.recall_requests = 0
        self.recalled: list[str] = []
        self.suppression_pages: list[Sequence[ProviderSuppression]] = []
        self.pull_times: list[datetime] = []
        self.suppressed: set[str] = set()
        self.suppression_requests = 0

    def build_request(
        self,
        message: Message,
        copies: Sequence[MessageCopy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> BatchRequest:
        for copy in copies:
            if copy.address in self.unrenderable:
                raise ValueError(copy.address)
        if fence:
            self.attempts_by_fence[fence.id] = attempt
        return BatchRequest(attempt, len(copies), (message, copies))

    def post(self, request: BatchRequest) -> str | None:
        self.post_count += 1
        message, copies = request.content
        error = self.raises.popleft() if self.raises else None
        if error is not None:
            if self.accepts_when_uncertain and isinstance(error, Uncertain):
                self.posted.append((request.attempt, message, copies))
            raise error
        self._refuse(copies)
        if CANARY_MARK in copies[0].custom_args:
            self.canaries.append(request.attempt)
            return None
        if request.attempt not in {
            self.attempts_by_fence.get(fence_id) for fence_id in self.recalled
        }:
            self.posted.append((request.attempt, message, copies))
        return f"id-{request.attempt[:8]}"

    def was_accepted(self, attempt: str) -> bool | None:
        return (
            attempt in {posted for posted, _, _ in self.posted} if self.knows_acceptance else None
        )

    def create_fence(self) -> str | None:
        self._raise_failure()
        self.fence_count += 1
        return f"fence-{self.fence_count}"

    def recall(self, fence_id: str) -> bool:
        self.recall_requests += 1
        self._raise_failure()
        if not self.allows_recall:
            return False
        self.recalled.append(fence_id)
        self.posted = [
            posted for posted in self.posted if posted[0] != self.attempts_by_fence.get(fence_id)
        ]
        return True

    def delete_fence(self, fence_id: str) -> None:
        self._raise_failure()
        self.recalled.remove(fence_id)

    def list_suppressions(self, since: datetime) -> Iterator[Sequence[ProviderSuppression]]:
        self.pull_times.append(since)
        yield from self.suppression_pages
        self._raise_failure()

    def suppress(self, addresses: Sequence[str]) -> None:
        self._count_suppression_request()
        self.suppressed |= set(addresses)

    def unsuppress(self, address: str) -> None:
        self._count_suppression_request()
        self.suppressed.discard(address)

    def addresses(self) -> list[str]:
        """The addresses that were mailed, once for each mail."""
        return [copy.address for _, _, copies in self.posted for copy in copies]

    def _count_suppression_request(self) -> None:
        self.suppression_requests += 1
        if self.failure:
            raise self.failure

    def _raise_failure(self) -> None:
        if self.failure:
            raise self.failure

    def _refuse(self, copies: Sequence[MessageCopy]) -> None:
        for index, copy in enumerate(copies):
            if copy.address in self.refuses:
                where = index if self.names_bad_address else None
                field = f"personalizations.{index}.to.0.email" if self.names_bad_address else None
                raise Refused(
                    400, [ProviderProblem("Does not contain a valid address.", field, where)]
                )
