"""Finding what was accepted twice in mail that is not discarded."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable


class Duplicates:
    """Counts who holds what: a delivery, or an address in an edition.

    Mail that can still be cancelled is remembered by its message id, so that it stops counting
    when it is discarded and counts again when its batch is resumed.
    """

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()
        self._sentences: dict[Hashable, str] = {}
        self._scheduled: defaultdict[str, list[tuple[Hashable, str]]] = defaultdict(list)
        self._discarded: set[str] = set()

    def add(self, thing: Hashable, sentence: str, scheduled: str | None = None) -> None:
        """Count a thing; `sentence` is said of it if it counts twice.

        `scheduled` is the message id of mail that can still be cancelled.
        """
        if scheduled is not None:
            self._scheduled[scheduled].append((thing, sentence))
        if scheduled not in self._discarded:
            self._count(thing, sentence, 1)

    def discard(self, message_id: str) -> None:
        if message_id not in self._discarded:
            self._discarded.add(message_id)
            self._count_all(message_id, -1)

    def restore(self, message_id: str) -> None:
        if message_id in self._discarded:
            self._discarded.remove(message_id)
            self._count_all(message_id, 1)

    def is_discarded(self, message_id: str) -> bool:
        return message_id in self._discarded

    def problems(self) -> list[str]:
        """A sentence for every time that a thing was accepted after its first."""
        return [
            sentence
            for thing, sentence in self._sentences.items()
            for _again in range(self._counts[thing] - 1)
        ]

    def _count_all(self, message_id: str, by: int) -> None:
        for thing, sentence in self._scheduled.get(message_id, ()):
            self._count(thing, sentence, by)

    def _count(self, thing: Hashable, sentence: str, by: int) -> None:
        self._counts[thing] += by
        if self._counts[thing] > 1:
            self._sentences[thing] = sentence
        elif self._counts[thing] == 1:
            self._sentences.pop(thing, None)
