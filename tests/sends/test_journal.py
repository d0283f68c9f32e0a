"""The journal of attempts outside the database: its lines, its files, and who reads them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from obstore.store import MemoryStore

from nif.sends.journal import (
    KEEP_FOR,
    BucketStore,
    EditionSign,
    FolderStore,
    Journal,
    JournalEntry,
    JournalFailed,
    JournalStore,
    format_entry,
    parse_entries,
)
from tests.conftest import NOON

DIGEST = EditionSign("daily", date(2026, 11, 20), "digest", [(3, 4)], [5])


def entry(name: str = "a", **given: object) -> JournalEntry:
    return replace(JournalEntry(name * 32, 7, DIGEST, 1, 1000, 998, NOON), **given)  # type: ignore[arg-type]


Open = Callable[..., JournalStore]


@pytest.fixture(params=["folder", "bucket"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same folder, or bucket, as another process does."""
    memory = MemoryStore()

    def open_store(*installations: str) -> JournalStore:
        own, *others = installations or ("here",)
        if request.param == "folder":
            return FolderStore(tmp_path / "journal", own, others)
        return BucketStore(memory, own, others)

    return open_store


def read(store: JournalStore) -> list[JournalEntry]:
    return Journal(store).list_to_compare(NOON, now=NOON)


def test_a_line_says_everything_about_an_attempt_and_holds_no_address() -> None:
    line = format_entry(entry())

    assert parse_entries(line) == ([entry()], len(line))
    assert b"@" not in line


def test_half_a_line_is_read_once_it_is_whole() -> None:
    one, other = format_entry(entry("a")), format_entry(entry("b"))

    assert parse_entries(one + other[:-1]) == ([entry("a")], len(one))
    assert parse_entries(b"{}\n" + other)[0] == [entry("b")]


def test_every_process_reads_what_all_of_them_wrote(open_store: Open) -> None:
    for name in "ab":
        Journal(open_store()).append(entry(name))

    found = read(open_store())
    assert sorted(one.attempt_id[0] for one in found) == ["a", "b"]


def test_lines_of_another_installation_are_not_read(open_store: Open) -> None:
    Journal(open_store("elsewhere")).append(entry("a"))
    Journal(open_store("before")).append(entry("b"))

    assert read(open_store("here", "before")) == [entry("b")]


def test_only_what_is_newer_than_the_database_is_read(open_store: Open) -> None:
    old = entry("a", at=NOON - timedelta(days=3))
    for one in (old, entry("b")):
        Journal(open_store()).append(one)

    assert read(open_store()) == [entry("b")]
    never_sent = Journal(open_store()).list_to_compare(None, now=NOON)
    assert len(never_sent) == 2


def test_a_confirmed_line_is_compared_again_while_it_is_among_the_newest(tmp_path: Path) -> None:
    journal = Journal(FolderStore(tmp_path, "here"))
    for number in range(40):
        journal.append(entry(f"{number:02}"))
    everything = [one.attempt_id for one in journal.list_to_compare(NOON, now=NOON)]
    journal.confirm(everything)

    again = [one.attempt_id for one in journal.list_to_compare(NOON, now=NOON)]
    assert (len(everything), again) == (40, everything[-32:])


def test_threads_that_write_at_once_all_have_their_line_stored(tmp_path: Path) -> None:
    journal, barrier = Journal(FolderStore(tmp_path, "here")), Barrier(8)

    def write(number: int) -> None:
        barrier.wait()
        journal.append(entry(f"{number:02}"))

    threads = [Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(read(FolderStore(tmp_path, "here"))) == 8


def test_a_journal_that_cannot_be_written_says_so_and_goes_on_later(tmp_path: Path) -> None:
    root = tmp_path / "journal"
    root.write_text("a file where a folder should be")
    journal = Journal(FolderStore(root, "here"))
    with pytest.raises(JournalFailed, match="cannot be written"):
        journal.append(entry("a"))
    with pytest.raises(JournalFailed, match="cannot be read"):
        journal.list_to_compare(NOON, now=NOON)

    root.unlink()
    journal.append(entry("b"))
    assert entry("b") in read(FolderStore(root, "here"))


def test_old_days_are_deleted(open_store: Open) -> None:
    journal = Journal(open_store())
    journal.append(entry("a", at=NOON - KEEP_FOR - timedelta(days=1)))
    journal.append(entry("b"))

    journal.delete_old(now=NOON)

    assert Journal(open_store()).list_to_compare(None, now=NOON) == [entry("b")]
