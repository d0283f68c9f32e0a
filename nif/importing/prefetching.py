"""Reading ahead: the next piece of a file is read while the database writes the last one."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")


def ahead(pieces: Iterator[Piece]) -> Generator[Piece]:
    """The same pieces, each taken while the one before it is worked on; one at most waits.

    What `pieces` raises is raised in its place. Close it to be sure that nothing reads any more.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as reader:
        coming = reader.submit(next, pieces, None)
        while (piece := coming.result()) is not None:
            coming = reader.submit(next, pieces, None)
            yield piece
