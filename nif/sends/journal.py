"""The journal: a record of all attempts outside the database, written before each request.

A database that went back in time, by a restore or a failover, does not know what was posted since.
The journal does. It is a folder, or a prefix in a bucket (`NIF_JOURNAL`), laid out as

    <installation>/<day>/<time>-<host>-<process>-<random>.jsonl

where `installation` is made of the secret key (`nif.tokens.installation_id`), and day and time are
in UTC. In a folder each process appends to one file a day; in a bucket each group of lines is an
object. A line is a JSON object, and only a line that ends with a newline counts:

    attempt   the attempt's id, which its mail bears as `nif_a`
    send      the id of its send
    list      the slug of the list
    slot      the edition's date, such as 2026-12-01
    occasion  the edition's occasion: `digest`, or `note-…` or `repermission-…`
    stories   pairs of the ids of story and revision in the edition
    notes     the ids of the notes that it carries
    first     the lowest subscriber id of the batch
    last      the highest
    copies    the number of mails in the request
    at        when the attempt began

A line is on disk, or in the bucket, before its request is posted, and after its attempt was
committed. So a line whose attempt is not in the database means that the database went back. Lines
hold ids and no addresses. Days older than KEEP_FOR are deleted.
"""

import logging
import os
import secrets
import socket
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import orjson

from nif.errors import Misconfigured
from nif.mail.provider import NotAccepted
from nif.media.storage import BUCKET_URL

log = logging.getLogger(__name__)

KEEP_FOR = timedelta(days=90)

RECHECKED = 32
"""So many of the newest lines are compared with the database each time. A database that goes back
loses its newest attempts first, in almost the order in which they were written."""

LOOK_BACK = timedelta(days=1)
"""How long before the newest attempt of the database the part of the journal begins that is
compared with it: clocks of machines differ, and may jump."""

BUCKET_READ_EVERY = timedelta(minutes=1)


class JournalFailed(NotAccepted):
    """The journal cannot be written or read; nothing was posted."""


@dataclass(frozen=True)
class EditionSign:
    """What the journal holds of an edition, to record it in a database that does not know it."""

    list_slug: str
    slot: date
    occasion: str
    stories: Sequence[tuple[int, int]] = ()
    notes: Sequence[int] = ()


@dataclass(frozen=True)
class JournalEntry:
    """One line: an attempt that is about to be posted."""

    attempt_id: str
    send_id: int
    edition: EditionSign
    first_subscriber_id: int
    last_subscriber_id: int
    copies: int
    at: datetime


def format_entry(entry: JournalEntry) -> bytes:
    """An entry as one line."""
    edition = entry.edition
    line = {
        "attempt": entry.attempt_id,
        "send": entry.send_id,
        "list": edition.list_slug,
        "slot": edition.slot,
        "occasion": edition.occasion,
        "stories": edition.stories,
        "notes": edition.notes,
        "first": entry.first_subscriber_id,
        "last": entry.last_subscriber_id,
        "copies": entry.copies,
        "at": entry.at,
    }
    return orjson.dumps(line) + b"\n"


def parse_entries(data: bytes) -> tuple[list[JournalEntry], int]:
    """The entries in `data`, and the number of bytes up to the end of the last whole line."""
    end = data.rfind(b"\n") + 1
    entries, unreadable = [], 0
    for line in data[:end].splitlines():
        try:
            entries.append(_parse_line(orjson.loads(line)))
        except (ValueError, KeyError, TypeError):
            unreadable += 1
    if unreadable:
        log.warning("%s lines of the journal could not be read", unreadable)
    return entries, end


def _parse_line(line: dict[str, Any]) -> JournalEntry:
    edition = EditionSign(
        line["list"],
        date.fromisoformat(line["slot"]),
        line["occasion"],
        [(int(story), int(revision)) for story, revision in line["stories"]],
        [int(note) for note in line["notes"]],
    )
    send_id, first, last, copies = (int(line[name]) for name in ("send", "first", "last", "copies"))
    at = datetime.fromisoformat(line["at"])
    return JournalEntry(line["attempt"], send_id, edition, first, last, copies, at)


class JournalStore(Protocol):
    """Where the lines are stored, in files by day. `read_every` is how often others may be read."""

    read_every: timedelta

    def append(self, data: bytes, now: datetime) -> None:
        """Store whole lines durably. Raises OSError, and what the store raises."""

    def list_files(self, since: date) -> Iterable[tuple[str, int]]:
        """The names and sizes of the files from the day `since` on."""

    def read(self, name: str, start: int) -> bytes:
        """The content of a file from byte `start` on."""

    def delete_before(self, day: date) -> None:
        """Delete the files of the days before `day`."""


class FolderStore:
    """A folder. Each process appends to a file of its own, a new one each day and after an error,
    since an error may have left half a line.
    """

    read_every = timedelta(0)

    def __init__(self, root: Path, own: str, others: Sequence[str] = ()) -> None:
        self._root, self._own, self._installations = root, own, (own, *others)
        self._file: int | None = None
        self._day: date | None = None

    def append(self, data: bytes, now: datetime) -> None:
        if self._day != now.date():
            self._close()
        if self._file is None:
            self._file, self._day = self._open(now), now.date()
        try:
            if os.write(self._file, data) != len(data):
                raise OSError("a line of the journal was not written whole")
            os.fsync(self._file)
        except OSError:
            self._close()
            raise

    def list_files(self, since: date) -> Iterable[tuple[str, int]]:
        for installation in self._installations:
            for day in _names_in(self._root / installation):
                if day >= since.isoformat():
                    for file in os.scandir(self._root / installation / day):
                        yield f"{installation}/{day}/{file.name}", file.stat().st_size

    def read(self, name: str, start: int) -> bytes:
        with (self._root / name).open("rb") as file:
            file.seek(start)
            return file.read()

    def delete_before(self, day: date) -> None:
        for installation in self._installations:
            for name in _names_in(self._root / installation):
                if name < day.isoformat():
                    folder = self._root / installation / name
                    for file in folder.iterdir():
                        file.unlink(missing_ok=True)
                    folder.rmdir()

    def _open(self, now: datetime) -> int:
        path = self._root / self._own / _name_new_file(now)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        # The names of file and folders have to survive a power cut too.
        for folder in (path.parent, path.parent.parent, self._root):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None


class BucketStore:
    """A prefix in an S3 bucket, by obstore: an object for each group of lines."""

    read_every = BUCKET_READ_EVERY

    def __init__(self, store: Any, own: str, others: Sequence[str] = ()) -> None:
        self._store, self._own, self._installations = store, own, (own, *others)

    def append(self, data: bytes, now: datetime) -> None:
        self._store.put(f"{self._own}/{_name_new_file(now)}", data)

    def list_files(self, since: date) -> Iterable[tuple[str, int]]:
        return self._list(since.isoformat())

    def read(self, name: str, start: int) -> bytes:
        return bytes(self._store.get(name).bytes())[start:]

    def delete_before(self, day: date) -> None:
        for name, _ in list(self._list()):
            if name.split("/")[1] < day.isoformat():
                self._store.delete(name)

    def _list(self, since: str = "") -> Iterable[tuple[str, int]]:
        for installation in self._installations:
            folder = f"{installation}/"
            for found in self._store.list(folder, offset=folder + since):
                for one in found:
                    yield one["path"], one["size"]


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir())
    except FileNotFoundError:
        return []


def _name_new_file(now: datetime) -> str:
    process = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return f"{now:%Y-%m-%d}/{now:%H%M%S%f}-{process}.jsonl"


class Journal:
    """The journal of a process: it writes its own lines, and reads those of all processes.

    Lines that several threads write at the same time become durable together. `since` is the first
    moment that was read from; None before the first reading, and after `forget`.
    """

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._queued, self._last_queued, self._last_written = list[bytes](), 0, 0
        self._queue_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._read_lock = threading.RLock()
        self.since: datetime | None = None
        self._read_at: datetime | None = None
        self._offsets: dict[str, int] = {}
        self._unconfirmed: dict[str, JournalEntry] = {}
        self._confirmed: deque[JournalEntry] = deque(maxlen=RECHECKED)

    def append(self, entry: JournalEntry) -> None:
        """Write a line; it is durable on return. Raises JournalFailed."""
        with self._queue_lock:
            self._queued.append(format_entry(entry))
            self._last_queued += 1
            number = self._last_queued
        with self._write_lock:
            if self._last_written < number:
                self._write_queued(entry.at)
        with self._read_lock:
            self._unconfirmed[entry.attempt_id] = entry

    def _write_queued(self, now: datetime) -> None:
        with self._queue_lock:
            lines, last = self._queued, self._last_queued
            self._queued = []
        try:
            self._store.append(b"".join(lines), now)
        except Exception as error:
            # The lines of other threads are theirs to write again.
            with self._queue_lock:
                self._queued = lines + self._queued
            raise JournalFailed(f"The journal cannot be written ({error})") from error
        self._last_written = last

    def list_to_compare(self, newest: datetime | None, *, now: datetime) -> list[JournalEntry]:
        """The entries to compare with the database now: those read for the first time, those not
        confirmed yet, and the newest ones again.

        `newest` is when the newest attempt of the database began; None where it has none. It
        decides where the first reading begins. Raises JournalFailed.
        """
        with self._read_lock:
            if self.since is None:
                earliest = min(newest, now) if newest else now - KEEP_FOR
                self.since = earliest - LOOK_BACK
            if self._read_at is None or abs(now - self._read_at) >= self._store.read_every:
                try:
                    self._read_new(now)
                except Exception as error:
                    raise JournalFailed(f"The journal cannot be read ({error})") from error
                self._read_at = now
            return [*self._confirmed, *self._unconfirmed.values()]

    def confirm(self, attempt_ids: Iterable[str]) -> None:
        """The database knows these attempts."""
        with self._read_lock:
            for attempt_id in attempt_ids:
                if entry := self._unconfirmed.pop(attempt_id, None):
                    self._confirmed.append(entry)

    def forget(self) -> None:
        """Begin to read again: the database went back, and more of it may be unknown."""
        with self._read_lock:
            self.since = self._read_at = None
            self._offsets.clear()
            self._unconfirmed.clear()
            self._confirmed.clear()

    def delete_old(self, *, now: datetime) -> None:
        """Delete the days that are older than KEEP_FOR."""
        self._store.delete_before((now - KEEP_FOR).date())

    def _read_new(self, now: datetime) -> None:
        since = self.since or now
        # After the first reading only files of the last days still grow.
        first_day = (since if not self._offsets else max(since, now - LOOK_BACK * 2)).date()
        for name, size in sorted(self._store.list_files(first_day)):
            start = self._offsets.get(name, 0)
            if size > start:
                entries, end = parse_entries(self._store.read(name, start))
                self._offsets[name] = start + end
                confirmed = {entry.attempt_id for entry in self._confirmed}
                for entry in entries:
                    if entry.at >= since and entry.attempt_id not in confirmed:
                        self._unconfirmed[entry.attempt_id] = entry


def open_journal(where: str, installations: Sequence[str]) -> Journal:
    """The journal at a path or an s3:// address; makes no request.

    The first of `installations` writes; lines of all of them are read. Raises Misconfigured.
    """
    own, *others = installations
    if not where.startswith("s3://"):
        return Journal(FolderStore(Path(where), own, others))
    if not BUCKET_URL.fullmatch(where):
        raise Misconfigured("NIF_JOURNAL must be a path, or a bucket such as s3://bucket/prefix.")
    try:
        errors, stores = import_module("obstore.exceptions"), import_module("obstore.store")
    except ModuleNotFoundError:
        raise Misconfigured(
            "NIF_JOURNAL names a bucket, for which obstore is needed: pip install 'nif[s3]'."
        ) from None
    try:
        return Journal(BucketStore(stores.from_url(where), own, others))
    except (errors.BaseError, ValueError) as error:
        raise Misconfigured(f"NIF_JOURNAL cannot be used: {error}") from None
