"""A mailer that keeps what it is given and fails as it is told."""

from collections import deque
from collections.abc import Sequence

from nif.mail.mailer import Parcel, Problem, Refused, Uncertain
from nif.mail.message import Copy, Message


class FakeMailer:
    """Takes parcels whole, refuses addresses in `refuses`, and raises what stands in `raises`.

    Each entry of `raises` serves one parcel: an exception to raise, or None to take it. With
    `takes_and_raises` a parcel whose end is Uncertain is taken, as when an answer is lost.
    """

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.raises: deque[Exception | None] = deque()
        self.takes_and_raises = False
        self.names_the_bad_one = True
        self.posted: list[tuple[str, Message, Sequence[Copy]]] = []
        self.posts = 0
        self.knows = False

    def pack(self, message: Message, copies: Sequence[Copy], *, attempt: str) -> Parcel:
        return Parcel(attempt, len(copies), (message, copies))

    def post(self, parcel: Parcel) -> str | None:
        self.posts += 1
        message, copies = parcel.content
        error = self.raises.popleft() if self.raises else None
        if error is not None:
            if self.takes_and_raises and isinstance(error, Uncertain):
                self.posted.append((parcel.attempt, message, copies))
            raise error
        self._check(copies)
        self.posted.append((parcel.attempt, message, copies))
        return f"id-{parcel.attempt[:8]}"

    def took(self, attempt: str) -> bool | None:
        return attempt in {one for one, _, _ in self.posted} if self.knows else None

    def addresses(self) -> list[str]:
        """Everyone who was mailed, once for each mail."""
        return [copy.address for _, _, copies in self.posted for copy in copies]

    def _check(self, copies: Sequence[Copy]) -> None:
        for index, copy in enumerate(copies):
            if copy.address in self.refuses:
                where = index if self.names_the_bad_one else None
                field = f"personalizations.{index}.to.0.email" if self.names_the_bad_one else None
                raise Refused(400, [Problem("Does not contain a valid address.", field, where)])
