"""Writing a public act down, at the end of the chain."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.ledger.hashing import (
    GENESIS,
    SALT_BYTES,
    VERSION,
    commitment,
    entry_hash,
    moment_in_words,
)
from nif.ledger.models import Entry, Head, Kind

THE_HEAD = 1


@dataclass(frozen=True)
class Act:
    """What was done in public: `payload` is a JSON object, `story` the slug of the one it is about.

    No reader's name, address or message belongs in a payload: everybody can read it, for good.
    """

    kind: Kind
    payload: Mapping[str, Any]
    story: str | None = None
    revision: int | None = None


def append(
    session: Session,
    kind: Kind,
    payload: Mapping[str, Any],
    *,
    story: str | None = None,
    revision: int | None = None,
    now: datetime,
) -> Entry:
    """Write a public act down in the transaction of the act itself: both happen, or neither.

    The end of the chain is held until that transaction ends, so append late in it.

    Raises ValueError for a payload that JSON, or either database, would not give back unchanged.
    """
    # An UPDATE waits for whoever holds the row and then sees what they wrote, on PostgreSQL too.
    seq, prev = session.execute(
        insert_into(session, Head)
        .values(id=THE_HEAD, seq=1, entry_hash=GENESIS)
        .on_conflict_do_update(index_elements=[Head.id], set_={"seq": Head.seq + 1})
        .returning(Head.seq, Head.entry_hash)
    ).one()
    entry = link(seq, prev, Act(kind, payload, story, revision), now=now)
    session.add(entry)
    session.execute(update(Head).values(entry_hash=entry.entry_hash))
    session.flush()
    return entry


def link(seq: int, prev: str, act: Act, *, now: datetime, salt: str | None = None) -> Entry:
    """The entry for an act after the one whose hash is `prev`; `now` loses its fraction."""
    salt = salt or secrets.token_hex(SALT_BYTES)
    at = now.astimezone(UTC).replace(microsecond=0)
    fields = {
        "seq": seq,
        "prev": prev,
        "kind": act.kind,
        "story": act.story,
        "revision": act.revision,
    }
    commit = commitment(act.payload, salt)
    whole = {**fields, "v": VERSION, "at": moment_in_words(at), "commit": commit}
    return Entry(
        **fields,
        at=at,
        commitment=commit,
        entry_hash=entry_hash(whole),
        salt=salt,
        payload=dict(act.payload),
    )
