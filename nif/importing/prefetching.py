"""Reading ahead: the next piece of a file is read while the database writes the last one."""

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

Piece = TypeVar("Piece")
Given = TypeVar("Given", covariant=True)


class Pieces(Protocol[Given]):
    """Pieces one after the other. `begin` says that we shall be waiting for something else now."""

    def __iter__(self) -> Iterator[Given]: ...

    def begin(self) -> None: ...

    def close(self) -> None: ...


class InTurn(Generic[Piece]):
    """Each piece is read when it is asked for."""

    def __init__(self, pieces: Generator[Piece]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[Piece]:
        return self._pieces

    def begin(self) -> None:
        """Nothing is begun."""

    def close(self) -> None:
        self._pieces.close()


class Ahead(Generic[Piece]):
    """From `begin` on the next piece is read in a thread; what that raises comes with the piece.

    Not sooner: two threads that both have to compute only get into each other's way.
    """

    def __init__(self, pieces: Generator[Piece]) -> None:
        self._pieces = pieces
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reading")
        self._coming: Future[Piece | None] | None = None

    def __iter__(self) -> Iterator[Piece]:
        while True:
            self.begin()
            coming, self._coming = self._coming, None
            piece = coming.result() if coming else None
            if piece is None:
                return
            yield piece

    def begin(self) -> None:
        if self._coming is None:
            self._coming = self._reader.submit(next, self._pieces, None)

    def close(self) -> None:
        """Nothing reads any more afterwards."""
        self._reader.shutdown()
        self._pieces.close()
