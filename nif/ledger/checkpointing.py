"""Signing the ledger, so that whoever has a checkpoint can prove what the chain was then."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.errors import Conflict, Misconfigured
from nif.ledger.checking import Broken, Chain
from nif.ledger.hashing import GENESIS
from nif.ledger.models import Checkpoint, Key
from nif.ledger.reading import End, find_checkpoint, find_end, stretch
from nif.ledger.signing import in_base64, key_id_of, make_key, put_away, read_key, sign


def checkpoint(
    session: Session, key_file: Path, *, may_make_key: bool, now: datetime
) -> Checkpoint | None:
    """Sign the chain as it is; None where it has not grown since the last time.

    What is new since then is followed first: a chain that is broken is not signed. The first key
    is made here where `may_make_key`, and never in place of one that was used before.

    Raises Conflict where the chain is broken, Misconfigured where there is no key to sign with.
    """
    end, last = find_end(session), find_checkpoint(session)
    if end is None or (last is not None and (last.size, last.root) == end):
        return None
    _follow(session, last, end)
    key = _own_key(session, key_file, may_make_key=may_make_key)
    key_id = _publish(session, key, now=now)
    # Of two workers that sign at once, the first one's checkpoint stays.
    session.execute(
        insert_into(session, Checkpoint)
        .values(
            size=end.seq,
            root=end.root,
            signed_at=now.astimezone(UTC).replace(microsecond=0),
            key_id=key_id,
            signature=sign(key, *end),
        )
        .on_conflict_do_nothing(index_elements=[Checkpoint.size])
    )
    return session.get_one(Checkpoint, end.seq)


def renew_key(session: Session, key_file: Path, *, now: datetime) -> tuple[str, Path | None]:
    """Begin to sign with a new key: its id, and where the old key is kept now.

    The old public key stays published: what it signed stays signed.
    """
    away = put_away(key_file)
    return _publish(session, make_key(key_file), now=now), away


def _follow(session: Session, last: Checkpoint | None, end: End) -> None:
    """Follow what came after the last checkpoint. Raises Conflict."""
    seq, root = (last.size, last.root) if last else (0, GENESIS)
    chain = Chain({}, seq=seq, root=root)
    try:
        while chain.seq < end.seq:
            part = stretch(session, after=chain.seq)
            for line in part.lines:
                if line.seq <= end.seq:
                    chain.take(line)
            if part.is_last:
                break
    except Broken as broken:
        raise Conflict(f"The ledger is broken, and was not signed. {broken}") from None
    if (chain.seq, chain.root) != end:
        raise Conflict(f"The ledger is broken, and was not signed. It is to end with {end.seq}.")


def _own_key(session: Session, path: Path, *, may_make_key: bool) -> Ed25519PrivateKey:
    key = read_key(path)
    if key is not None:
        return key
    if may_make_key and session.scalar(select(Key.key_id).limit(1)) is None:
        return make_key(path)
    raise Misconfigured(
        f"The key that signs the ledger is not at {path}: put it there, or name its place in "
        "NIF_LEDGER_KEY_FILE. Where there is none, or it is lost, `nif ledger new-key` makes one."
    )


def _publish(session: Session, key: Ed25519PrivateKey, *, now: datetime) -> str:
    """Make the public half known to everyone, once; returns its id."""
    public = key.public_key()
    key_id = key_id_of(public)
    session.execute(
        insert_into(session, Key)
        .values(key_id=key_id, public_key=in_base64(public.public_bytes_raw()), since=now)
        .on_conflict_do_nothing(index_elements=[Key.key_id])
    )
    return key_id
