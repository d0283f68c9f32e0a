"""Deleting what an entry is about where the law demands it. The chain goes on without it."""

from sqlalchemy import null, update
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.ledger.models import Entry


def drop_payload(session: Session, seq: int) -> None:
    """Delete an entry's payload, and its salt, without which nobody can guess the payload either.

    Doing it twice is no error. Raises NotFound.
    """
    dropped = session.execute(
        update(Entry).where(Entry.seq == seq).values(payload=null(), salt=null())
    )
    if dropped.rowcount == 0:  # type: ignore[attr-defined]
        raise NotFound(f"The ledger has no entry {seq}.")
