"""Posting events to a webhook as SendGrid does: signed, in batches, again and again, and badly."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import orjson
import urllib3

from tests.standin.account import Account
from tests.standin.events import SUPPRESSING, Event, Message, events_of, outcome_of
from tests.standin.signing import Signer

LARGEST_BATCH = 768_000
WAITING = 10_000
ANSWER_SECONDS = 10.0
DAY = 86_400.0
FIRST_RETRY = 10.0
LOSS = 0.5
MOST_COPIES = 46
MODES = frozenset({"normal", "duplicate", "shuffled", "delayed", "lost", "strange"})
TELLING = frozenset({"bounce", "dropped", "spamreport"})


class Emitter:
    """Turns accepted messages into events, and posts what is due while there is a webhook.

    The last 10,000 messages accepted without a webhook wait for one. `speed` makes SendGrid's
    clock run: at 86,400 its day of delays and retries passes in a second.
    """

    def __init__(self, account: Account) -> None:
        self.signer = Signer()
        self._account = account
        self._waiting: deque[tuple[Message, str | None]] = deque(maxlen=WAITING)
        self._due: list[tuple[float, int, Event]] = []
        self._order = itertools.count()
        self._posting: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._counts: Counter[str] = Counter()
        self._http = urllib3.PoolManager(retries=False, timeout=ANSWER_SECONDS, maxsize=8)
        self.start(None)

    def start(
        self,
        url: str | None,
        mode: str = "normal",
        *,
        seed: int = 0,
        speed: float = 1.0,
        interval: float = 0.1,
    ) -> None:
        """Post to a url from now on, every `interval` seconds; None stops.

        `mode` is one of MODES, or several of them joined by plus signs; ValueError for others.
        """
        self._modes = frozenset(mode.split("+"))
        if not self._modes <= MODES:
            raise ValueError(f"{mode} is none of {', '.join(sorted(MODES))}")
        self._url, self._speed, self._interval = url, speed, interval
        self._random = random.Random(seed)
        if url and self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run())
        while url and self._waiting:
            self._schedule(*self._waiting.popleft())

    def take(self, body: dict[str, Any], message_id: str) -> None:
        """Decide what becomes of every message of an accepted request."""
        settings, shared = body.get("mail_settings", {}), body.get("custom_args", {})
        categories = body.get("categories", [])
        for number, block in enumerate(body["personalizations"]):
            address = block["to"][0]["email"]
            own = block.get("custom_args", {})
            args = {**shared, **own} if shared else own
            message = Message(address, number, message_id, args, categories)
            dropped = self._account.drop_reason(address, settings)
            if not dropped and (suppression := SUPPRESSING.get(outcome_of(address))):
                self._account.suppress([address], suppression)
            if self._url:
                self._schedule(message, dropped)
            else:
                self._waiting.append((message, dropped))

    def counts(self) -> dict[str, int]:
        """Events made, lost, pending, posted (acknowledged), given_up; posts and refused_posts."""
        return {**self._counts, "pending": self._counts["pending"] + len(self._due)}

    def _schedule(self, message: Message, drop_reason: str | None) -> None:
        now, dice, modes = time.monotonic(), self._random, self._modes
        spread = self._interval * 5 if modes & {"shuffled", "duplicate"} else 0.0
        delay = DAY / self._speed if "delayed" in modes else 0.0
        for event in events_of(message, drop_reason):
            self._counts["made"] += 1
            if "lost" in modes and dice.random() < LOSS:
                self._counts["lost"] += 1
                continue
            for _copy in range(dice.randint(1, MOST_COPIES) if "duplicate" in modes else 1):
                due = now + dice.uniform(0, spread) + dice.uniform(0, delay)
                heapq.heappush(self._due, (due, next(self._order), event))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if self._url:
                self._post_due(self._url)

    def _post_due(self, url: str) -> None:
        events, now = [], time.monotonic()
        while self._due and self._due[0][0] <= now:
            events.append(heapq.heappop(self._due)[2])
        if "shuffled" in self._modes:
            self._random.shuffle(events)
        if "strange" in self._modes and events:
            events += _strange_events()
        self._counts["pending"] += len(events)
        for batch, body in _batches(events):
            task = asyncio.get_running_loop().create_task(self._deliver(url, batch, body))
            self._posting.add(task)
            task.add_done_callback(self._posting.discard)

    async def _deliver(self, url: str, events: list[Event], body: bytes) -> None:
        """Post until the webhook says 2xx, at growing intervals, for a day at most."""
        waited, wait = 0.0, FIRST_RETRY
        while not await asyncio.to_thread(self._post, url, body):
            self._counts["refused_posts"] += 1
            if waited + wait > DAY:
                self._counts["given_up"] += len(events)
                break
            await asyncio.sleep(wait / self._speed)
            waited, wait = waited + wait, wait * 2
        else:
            self._counts["posts"] += 1
            self._counts["posted"] += len(events)
            suppressing = filter(_tells_of_suppression, events)
            self._account.told.update(event["email"].lower() for event in suppressing)
        self._counts["pending"] -= len(events)

    def _post(self, url: str, body: bytes) -> bool:
        headers = self.signer.headers(body)
        try:
            answer = self._http.request("POST", url, body=body, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError:
            return False
        return 200 <= answer.status < 300


def _tells_of_suppression(event: Event) -> bool:
    return event["event"] in TELLING and event.get("type") != "blocked"


def _strange_events() -> list[Event]:
    """What a webhook has to live with: events and keys that nobody has documented."""
    at = int(time.time())
    known = {"timestamp": at, "sg_event_id": f"strange-{at}"}
    return [
        {**known, "event": "account_status_change", "type": "compliance_suspend"},
        {**known, "event": "levitated", "email": "ann@example.com", "height": {"metres": 3}},
    ]


def _batches(events: list[Event]) -> Iterator[tuple[list[Event], bytes]]:
    """Events in arrays of at most 768 kB; the CRLF that ends a body is signed with it."""
    batch: list[Event] = []
    parts: list[bytes] = []
    size = 0
    for event in events:
        part = orjson.dumps(event)
        if size + len(part) > LARGEST_BATCH:
            yield batch, _body(parts)
            batch, parts, size = [], [], 0
        batch.append(event)
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield batch, _body(parts)


def _body(parts: list[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]\r\n"
