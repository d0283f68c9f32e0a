"""Checkpoints: signatures that prove, to all who keep one, what the chain was at that moment."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.database import insert_if_new
from nif.errors import Conflict, Misconfigured
from nif.ledger.chain import BrokenChain, ChainVerifier
from nif.ledger.models import LedgerCheckpoint, LedgerKey
from nif.ledger.payloads import GENESIS_HASH
from nif.ledger.queries import ChainEnd, find_chain_end, find_newest_checkpoint, load_ledger_slice
from nif.ledger.signatures import (
    archive_signing_key,
    encode_base64url,
    find_signing_key,
    key_id_of,
    make_signing_key,
    sign_chain_root,
)


def create_checkpoint(
    session: Session, key_file: Path, *, may_make_key: bool, now: datetime
) -> LedgerCheckpoint | None:
    """Sign the chain as it is; None where it has not grown since the last checkpoint.

    The entries since then are verified first: a broken chain is not signed. Where `may_make_key`,
    the first key is made here, but never in place of one that was used before.

    Raises Conflict where the chain is broken, Misconfigured where there is no key to sign with.
    """
    end, last = find_chain_end(session), find_newest_checkpoint(session)
    if end is None or (last is not None and (last.size, last.root) == end):
        return None
    _verify_new_entries(session, last, end)
    key = _load_signing_key(session, key_file, may_make_key=may_make_key)
    key_id = _publish_key(session, key, now=now)
    # If two workers sign at once, the first checkpoint stays.
    insert_if_new(
        session,
        LedgerCheckpoint,
        size=end.seq,
        root=end.root,
        signed_at=now.astimezone(UTC).replace(microsecond=0),
        key_id=key_id,
        signature=sign_chain_root(key, *end),
    )
    return session.get_one(LedgerCheckpoint, end.seq)


def renew_signing_key(
    session: Session, key_file: Path, *, now: datetime
) -> tuple[str, Path | None]:
    """Replace the signing key; returns the id of the new one, and where the old one is kept now.

    The old public key stays published, so its signatures stay valid.
    """
    archived = archive_signing_key(key_file)
    return _publish_key(session, make_signing_key(key_file), now=now), archived


def _verify_new_entries(session: Session, last: LedgerCheckpoint | None, end: ChainEnd) -> None:
    """Verify the entries after the last checkpoint. Raises Conflict."""
    seq, root = (last.size, last.root) if last else (0, GENESIS_HASH)
    chain = ChainVerifier({}, seq=seq, root=root)
    try:
        while chain.seq < end.seq:
            part = load_ledger_slice(session, after=chain.seq)
            for entry in part.entries:
                if entry.seq <= end.seq:
                    chain.add_entry(entry)
            if part.is_last:
                break
    except BrokenChain as broken:
        raise Conflict(f"The ledger is broken, and was not signed. {broken}") from None
    if (chain.seq, chain.root) != end:
        wrong_end = f"It should end with entry {end.seq}."
        raise Conflict(f"The ledger is broken, and was not signed. {wrong_end}")


def _load_signing_key(session: Session, path: Path, *, may_make_key: bool) -> Ed25519PrivateKey:
    if key := find_signing_key(path):
        return key
    if may_make_key and session.scalar(select(LedgerKey.key_id).limit(1)) is None:
        return make_signing_key(path)
    raise Misconfigured(
        f"The key that signs the ledger is not at {path}: put it there, or set "
        "NIF_LEDGER_KEY_FILE to its path. If there is none, or it is lost, make one with "
        "`nif ledger new-key`."
    )


def _publish_key(session: Session, key: Ed25519PrivateKey, *, now: datetime) -> str:
    """Publish the public half, once; returns its id."""
    public = key.public_key()
    key_id = key_id_of(public)
    encoded = encode_base64url(public.public_bytes_raw())
    insert_if_new(session, LedgerKey, key_id=key_id, public_key=encoded, since=now)
    return key_id
