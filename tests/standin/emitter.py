"""Posting events to a webhook as SendGrid does: signed, in batches, repeatedly, and with faults."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
from collections import Counter, deque
from collections.abc import Iterator

import orjson
import urllib3

from tests.standin.accepted import Accepted
from tests.standin.account import Account
from tests.standin.events import Event, events_of, listing_of
from tests.standin.signing import Signer

LARGEST_BATCH = 768_000
WAITING = 10_000
ANSWER_SECONDS = 10.0
DAY = 86_400.0
FIRST_RETRY = 10.0
LOSS = 0.5
MOST_COPIES = 46
MODES = frozenset({"normal", "duplicate", "shuffled", "delayed", "lost", "dead", "strange"})
# Why messages are dropped, by their number in the request.
Dropped = dict[int, str]
# Otherwise the events of a request stay together.
SCATTERING = frozenset({"duplicate", "shuffled", "delayed"})
TELLING = frozenset({"bounce", "dropped", "spamreport"})


class Emitter:
    """Turns accepted messages into events, and posts what is due while there is a webhook.

    About the last 10,000 messages accepted without a webhook wait for one. `speed` makes SendGrid's
    clock run: at 86,400 its day of delays and retries passes in a second.
    """

    def __init__(self, account: Account) -> None:
        self.signer = Signer()
        self._account = account
        self._waiting: deque[tuple[Accepted, Dropped]] = deque()
        self._waiting_messages = 0
        self._due: list[tuple[float, int, list[Event]]] = []
        self._order = itertools.count()
        self._posting: set[asyncio.Task[None]] = set()
        self._loop: asyncio.Task[None] | None = None
        self._counts: Counter[str] = Counter(pending=0)
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
        late: float = 0.0,
        late_seconds: float = 0.0,
    ) -> None:
        """Post to a url from now on, every `interval` seconds; None stops.

        `mode` is one of MODES, or several of them joined by plus signs; ValueError for others.
        All events of a share `late` of the requests come `late_seconds` later, however `speed`
        runs. A dead emitter makes events and never posts them: they count as lost.
        """
        self._modes = frozenset(mode.split("+"))
        if not self._modes <= MODES:
            raise ValueError(f"{mode} is none of {', '.join(sorted(MODES))}")
        self._url, self._speed, self._interval = url, speed, interval
        self._random = random.Random(seed)
        self._late, self._late_seconds = late, late_seconds
        if url and self._loop is None:
            self._loop = asyncio.get_running_loop().create_task(self._run())
        while url and self._waiting:
            self._schedule(*self._waiting.popleft())
            self._waiting_messages = 0

    def take(self, accepted: Accepted) -> None:
        """Decide what becomes of every message of a request whose time has come."""
        dropped = self._drop(accepted)
        if self._url:
            self._schedule(accepted, dropped)
            return
        self._waiting.append((accepted, dropped))
        self._waiting_messages += accepted.size
        while self._waiting_messages > WAITING and len(self._waiting) > 1:
            self._waiting_messages -= self._waiting.popleft()[0].size

    def _drop(self, accepted: Accepted) -> Dropped:
        """Why SendGrid drops which messages; what bounces or complains is on a list from now on.

        Only an address with a plus asks for an outcome that does so.
        """
        dropped: Dropped = {}
        lists = self._account.suppressions
        if not lists and b"+" not in accepted.packed:
            return dropped
        for message in accepted.messages():
            reason = lists.drop_reason(message.address, accepted.settings)
            if reason:
                dropped[message.number] = reason
            elif listing := listing_of(message):
                lists.add(listing[0], [listing[1]])
        return dropped

    def counts(self) -> dict[str, int]:
        """Events made, lost, pending, posted (acknowledged), given_up; posts and refused_posts.

        `waiting` are messages that wait for a webhook, `late_groups` requests whose events come
        late.
        """
        return {**self._counts, "waiting": self._waiting_messages}

    def _schedule(self, accepted: Accepted, dropped: Dropped) -> None:
        begin = time.monotonic()
        if self._late and self._random.random() < self._late:
            self._counts["late_groups"] += 1
            begin += self._late_seconds
        told = [
            event
            for message in accepted.messages()
            for event in events_of(message, dropped.get(message.number))
        ]
        kept = [event for event in told if not self._loses()]
        self._counts["made"] += len(told)
        self._counts["lost"] += len(told) - len(kept)
        if self._modes & SCATTERING:
            for event in kept:
                self._scatter(event, begin)
        else:
            self._wait(begin, kept)

    def _loses(self) -> bool:
        if "dead" in self._modes:
            return True
        return "lost" in self._modes and self._random.random() < LOSS

    def _scatter(self, event: Event, begin: float) -> None:
        dice, modes = self._random, self._modes
        spread = self._interval * 5 if modes & {"shuffled", "duplicate"} else 0.0
        delay = DAY / self._speed if "delayed" in modes else 0.0
        for _copy in range(dice.randint(1, MOST_COPIES) if "duplicate" in modes else 1):
            self._wait(begin + dice.uniform(0, spread) + dice.uniform(0, delay), [event])

    def _wait(self, due: float, events: list[Event]) -> None:
        self._counts["pending"] += len(events)
        heapq.heappush(self._due, (due, next(self._order), events))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            if self._url:
                self._post_due(self._url)

    def _post_due(self, url: str) -> None:
        events: list[Event] = []
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            events += heapq.heappop(self._due)[2]
        if "shuffled" in self._modes:
            self._random.shuffle(events)
        if "strange" in self._modes and events:
            strange = _strange_events()
            self._counts["pending"] += len(strange)
            events += strange
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
    """Events and keys that are documented nowhere, which a webhook has to tolerate."""
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
