"""A stand-in in a process of its own, for a test to start, control, read and stop."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import urllib3

from tests.standin import acceptance_log
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


class Standin:
    """Runs `python -m tests.standin` with the given options until the with block ends.

    `Standin("--check", "light")` passes command line options on. What was accepted stays readable
    in `log` after stop().
    """

    def __init__(self, *options: str, log: Path | None = None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="standin-")
        self.log = log or Path(self._scratch.name) / "accepted.jsonl"
        self._options = options
        self._http = urllib3.PoolManager(retries=False)

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.standin", "--attached", "--log", str(self.log)]
        self._process = subprocess.Popen(
            [*command, *self._options], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in ended with {self._process.wait()}")
        ready = json.loads(line)
        self.url: str = ready["url"]
        self.api_key: str = ready["api_key"]
        self.public_key: str = ready["public_key"]
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.stop()
        self._scratch.cleanup()

    def stop(self) -> None:
        """End the process; a second call does nothing. The log is whole at any moment."""
        self._http.clear()
        self._process.kill()
        self._process.communicate()

    def accepted(self) -> Iterator[dict[str, Any]]:
        """All acceptances in the log (see AcceptanceLog), oldest first, discarded ones too."""
        return acceptance_log.read(self.log)

    def mailed(self) -> Iterator[dict[str, Any]]:
        """The acceptances that are not discarded as of now."""
        return acceptance_log.read_by_discard(self.log, discarded=False)

    def recipients(self) -> Counter[str]:
        """How often each address was accepted in mail that is not discarded."""
        return Counter(address for record in self.mailed() for _id, address in record["deliveries"])

    def deliveries(self) -> Counter[str]:
        """How often each delivery id was accepted; transactional email has none."""
        return _delivery_ids(self.mailed())

    def discarded(self) -> Counter[str]:
        """How often each delivery id was accepted in mail that is discarded."""
        return _delivery_ids(acceptance_log.read_by_discard(self.log, discarded=True))

    def notes(self) -> list[dict[str, Any]]:
        """What became of scheduled mail, oldest first; see acceptance_log.AcceptanceLog.note."""
        return list(acceptance_log.notes(self.log))

    def mails(self, to: str | None = None) -> list[dict[str, Any]]:
        """The rendered mails kept for an address: headers, subject, text, html, custom_args."""
        return self._control("GET", "mails", fields={"to": to} if to else None)

    def push_fault(self, kind: str, **options: Any) -> None:
        """Queue a fault; see faults.KINDS for its kind and faults.Fault for its options."""
        self._control("POST", "faults", json=[{"kind": kind, **options}])

    def random_faults(self, seed: int, rates: dict[str, float], **options: Any) -> None:
        """Let requests fail by chance, {kind: probability}; the same chance for the same seed."""
        self._control("POST", "faults", json={"seed": seed, "rates": rates, **options})

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def stats(self) -> dict[str, Any]:
        return self._control("GET", "stats")

    def problems(self) -> list[str]:
        """The problems that the mailbox found in accepted mail, a sentence each."""
        return self.stats()["problems"]

    def emit_to(self, url: str | None, mode: str = "normal", **options: Any) -> None:
        """Post events to a webhook, or to nobody; see emitter.Emitter.start for the options."""
        self._control("POST", "events", json={"url": url, "mode": mode, **options})

    def wait_for_events(self) -> dict[str, int]:
        """Wait until no event is pending, and count them."""
        wait_until(lambda: not self.stats()["events"]["pending"], "no event is pending")
        counts: dict[str, int] = self.stats()["events"]
        return counts

    def wait_until_sent(self) -> None:
        """Wait until no mail is held for its send_at."""
        wait_until(lambda: not self.stats()["scheduled"]["held"], "no mail is held")

    def wait_until_closed(self, open_before: int) -> None:
        """Wait until a connection that was opened since is closed again."""
        wait_until(
            lambda: self.stats()["open_connections"] <= open_before, "the connection is closed"
        )

    def account(self, **state: Any) -> None:
        """Flip states of the account; see account.Account for their names."""
        self._control("POST", "account", json=state)

    def _control(self, method: str, action: str, **options: Any) -> Any:
        answer = self._http.request(method, f"{self.url}/_standin/{action}", **options)
        if answer.status != 200:
            raise ValueError(answer.data.decode())
        return answer.json()


def _delivery_ids(records: Iterable[dict[str, Any]]) -> Counter[str]:
    ids = (each[0] for record in records for each in record["deliveries"])
    return Counter(delivery for delivery in ids if delivery is not None)
