"""Mail that waits for its send_at, and the batches by which it can be stopped."""

from __future__ import annotations

import asyncio
import base64
import heapq
import itertools
import random
import time
import uuid
from dataclasses import dataclass

from tests.standin.acceptance_log import AcceptanceLog
from tests.standin.accepted import Accepted
from tests.standin.account import Account
from tests.standin.emitter import Emitter
from tests.standin.mailbox import Mailbox

STATUSES = frozenset({"pause", "cancel"})
TICK = 0.02


@dataclass(slots=True)
class Held:
    """Accepted mail before its time; `stop` is the status that will keep it, or nothing."""

    accepted: Accepted
    stop: str
    gone: bool = False


class Schedule:
    """Holds scheduled mail until its send_at, and hands it on or throws it away.

    A status stops mail whose send_at is at least the account's `cancel_margin` away when the
    status is posted, whether the mail came before or comes after; nearer ones by chance.
    """

    def __init__(
        self, account: Account, acceptances: AcceptanceLog, mailbox: Mailbox, emitter: Emitter
    ) -> None:
        self.discarded = 0
        self.statuses: dict[str, str] = {}
        self._account, self._acceptances = account, acceptances
        self._mailbox, self._emitter = mailbox, emitter
        self._posted: dict[str, float] = {}
        self._batches: dict[str, list[Held]] = {}
        self._due: list[tuple[float, int, Held]] = []
        self._order = itertools.count()
        self._random = random.Random(0)
        self._held = 0

    def new_batch(self) -> str:
        batch_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        self._account.batch_ids.add(batch_id)
        return batch_id

    def counts(self) -> dict[str, int]:
        """Count messages that wait for their send_at, and messages discarded when it came."""
        return {"held": self._held, "discarded": self.discarded}

    def stop_of(self, accepted: Accepted) -> str:
        """The status that stops mail which is just arriving, or nothing."""
        status = self.statuses.get(accepted.batch_id or "", "")
        honoured = status and accepted.send_at and self._honours(accepted)
        return status if honoured else ""

    def hold(self, accepted: Accepted, stop: str) -> None:
        held = Held(accepted, stop)
        self._held += accepted.size
        self._batches.setdefault(accepted.batch_id or "", []).append(held)
        self._wait(held, accepted.send_at)

    def set_status(self, batch_id: str, status: str, now: float) -> None:
        """Pause or cancel a batch, or change the one into the other."""
        if self.statuses.get(batch_id) == status:
            return
        self.statuses[batch_id], self._posted[batch_id] = status, now
        batch = self._batches.get(batch_id, [])
        stoppable = [each for each in batch if each.stop or self._honours(each.accepted)]
        self._change(batch_id, stoppable, status)
        self._settle_again(batch, now)

    def lift(self, batch_id: str, now: float) -> None:
        """Take a status back: what is cancelled and still waiting goes after all."""
        del self.statuses[batch_id], self._posted[batch_id]
        batch = self._batches.get(batch_id, [])
        self._change(batch_id, batch, "")
        self._settle_again(batch, now)

    def release(self, now: float) -> None:
        """Deliver or discard everything whose time has come."""
        while self._due and self._due[0][0] <= now:
            held = heapq.heappop(self._due)[2]
            if not held.gone:
                self._settle(held, now)

    async def run(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.release(time.time())

    def _honours(self, accepted: Accepted) -> bool:
        posted = self._posted[accepted.batch_id or ""]
        if accepted.send_at - posted >= self._account.cancel_margin:
            return True
        return self._random.random() < self._account.late_cancel_works

    def _change(self, batch_id: str, batch: list[Held], stop: str) -> None:
        cancelled = [h for h in batch if stop == "cancel" != h.stop]
        restored = [h for h in batch if stop != "cancel" == h.stop]
        for held in batch:
            held.stop = stop
        for event, changed in (("cancelled", cancelled), ("restored", restored)):
            ids = [held.accepted.message_id for held in changed]
            if ids:
                self._acceptances.note(event, batch_id, ids)
            for message_id in ids:
                self._mailbox.discard(message_id, event == "cancelled")

    def _settle_again(self, batch: list[Held], now: float) -> None:
        for held in batch:
            if held.accepted.send_at <= now:
                self._wait(held, now)
        self.release(now)

    def _settle(self, held: Held, now: float) -> None:
        accepted = held.accepted
        end = accepted.send_at + self._account.pause_seconds
        if held.stop == "pause" and now < end:
            self._wait(held, end)
            return
        held.gone = True
        self._held -= accepted.size
        batch = self._batches[accepted.batch_id or ""]
        batch.remove(held)
        if not batch:
            del self._batches[accepted.batch_id or ""]
        if held.stop == "pause":
            self._acceptances.note("expired", accepted.batch_id or "", [accepted.message_id])
            self._mailbox.discard(accepted.message_id)
        if held.stop:
            self.discarded += accepted.size
        else:
            self._emitter.take(accepted)

    def _wait(self, held: Held, until: float) -> None:
        heapq.heappush(self._due, (until, next(self._order), held))
