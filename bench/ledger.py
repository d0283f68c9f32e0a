"""Measures the public ledger: python -m bench.ledger, or make bench-ledger."""

import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from bench.figures import Figure
from bench.installations import BenchDatabase
from bench.options import BenchFailed, Options
from bench.report import Report
from bench.runner import run
from bench.sample_list import PARAGRAPH
from nif.clock import utc_now
from nif.database import Database
from nif.ledger import queries
from nif.ledger.chain import HEAD_ID, LedgerVerdict, PublicAct, PublishedEntry, build_entry
from nif.ledger.checkpoints import create_checkpoint
from nif.ledger.models import LedgerEntryKind, LedgerHead
from nif.ledger.payloads import GENESIS_HASH
from nif.ledger.queries import (
    encode_export_line,
    load_ledger_slice,
    load_public_keys,
    verify_ledger,
)
from nif.services import build_services

ENTRIES_PER_TRANSACTION = 1_000
CHECKPOINTS = 50


def measure_ledger(target: BenchDatabase, options: Options, report: Report) -> None:
    """The seconds to verify a whole ledger. Raises BenchFailed if it is not found whole."""
    size = max(options.sizes)
    report.progress(f"a ledger of {size:,} entries on {target.database}")
    with target.installation() as installation:
        services = build_services(installation.settings())
        try:
            _fill_ledger(services.database, size, installation.settings().ledger_key)
            stored, live, exported = [], [], []
            for number in range(options.rounds):
                report.progress(f"verifying {number + 1} of {options.rounds}")
                stored.append(_seconds(services.database, size, None))
                live.append(_seconds(services.database, size, _live))
                exported.append(_seconds_of_export(services.database, size))
        finally:
            services.database.close()
    for name, times in (
        ("ledger.verify_seconds", stored),
        ("ledger.verify_live_seconds", live),
        ("ledger.verify_export_seconds", exported),
    ):
        report.add(Figure(name, target.database, size, statistics.median(times), "s"))
    report.add_note(
        f"The ledger: entries of {len(encode_export_line(_example_line())):,} bytes as published, "
        f"each with its "
        f"payload and salt, and {CHECKPOINTS} checkpoints. `live` compares every entry with a live "
        "record as well; `export` makes the export, and verifies it with the keys alone."
    )


def _fill_ledger(database: Database, size: int, key_file: Any) -> None:
    """Create a ledger of `size` entries with checkpoints."""
    now = utc_now() - timedelta(seconds=size)
    seq, root = 0, GENESIS_HASH
    every = max(1, size // CHECKPOINTS)
    while seq < size:
        with database.transaction() as session:
            until = min(size, (seq // every + 1) * every, seq + ENTRIES_PER_TRANSACTION)
            while seq < until:
                entry = build_entry(seq + 1, root, _act(seq + 1), now=now + timedelta(seconds=seq))
                session.add(entry)
                seq, root = seq + 1, entry.entry_hash
            session.merge(LedgerHead(id=HEAD_ID, seq=seq, entry_hash=root))
            session.flush()
            if seq % every == 0:
                create_checkpoint(session, key_file, may_make_key=True, now=now)


def _act(number: int) -> PublicAct:
    """A story's revision as publishing would record it."""
    kind = LedgerEntryKind.PUBLISH if number % 3 else LedgerEntryKind.UPDATE
    return PublicAct(kind, _payload(number), f"{number // 3:016x}", number % 3 + 1)


def _payload(number: int) -> dict[str, Any]:
    bullets = [{"anchor": f"b{n}", "text": PARAGRAPH} for n in range(5)]
    return {
        "headline": f"Palisade Records Sells Part {number} of Its Catalogue",
        "dek": "The buyer is not named",
        "lead": PARAGRAPH,
        "sections": [{"anchor": "s1", "label": "Why it matters:", "bullets": bullets}],
        "sources": [{"publisher": "The Gazette", "title": "Sale", "seen_by_us": True}],
        "tags": [["deals", "Deals"]],
        "words": 210,
    }


def _example_line() -> PublishedEntry:
    entry = build_entry(
        1, GENESIS_HASH, _act(1), now=datetime.fromisoformat("2026-01-20T15:00:00Z")
    )
    values = [entry.seq, entry.prev, entry.kind, entry.story, entry.revision, "x" * 20]
    return PublishedEntry(*values, entry.commitment, entry.entry_hash, entry.salt, entry.payload)


def _live(lines: Sequence[PublishedEntry]) -> Iterable[tuple[int, dict[str, Any]]]:
    return ((line.seq, _payload(line.seq)) for line in lines)


def _seconds(database: Database, size: int, records: Any) -> float:
    started = time.perf_counter()
    with database.snapshot() as session:
        verdict = verify_ledger(session, records)
    seconds = time.perf_counter() - started
    _expect_whole(verdict, size)
    if verdict.compared != (size if records else 0):
        raise BenchFailed(f"{verdict.compared:,} of {size:,} entries were compared")
    return seconds


def _seconds_of_export(database: Database, size: int) -> float:
    started = time.perf_counter()
    with database.snapshot() as session:
        verdict = queries.verify_export(_export(session), load_public_keys(session))
    seconds = time.perf_counter() - started
    _expect_whole(verdict, size)
    return seconds


def _export(session: Session) -> Iterator[bytes]:
    after, is_last = 0, False
    while not is_last:
        part = load_ledger_slice(session, after=after)
        yield from map(encode_export_line, part.in_order())
        after, is_last = part.entries[-1].seq if part.entries else after, part.is_last


def _expect_whole(verdict: LedgerVerdict, size: int) -> None:
    if not verdict.is_whole or verdict.entries != size or not verdict.checkpoints:
        raise BenchFailed(f"the ledger was not found whole: {verdict}")


if __name__ == "__main__":
    sys.exit(run(measure_ledger, sizes="50000"))
