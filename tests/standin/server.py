"""The server: connections, the order of checks, and what a fault does to an answer."""

from __future__ import annotations

import asyncio
import base64
import gzip
import time
import uuid
from pathlib import Path
from typing import Any

from tests.standin import control, endpoints, rules
from tests.standin.acceptance_log import AcceptanceLog
from tests.standin.accepted import Accepted
from tests.standin.account import Account
from tests.standin.emitter import Emitter
from tests.standin.faults import BREAKS, LIES, REFUSALS, UNANSWERED, Fault, Faults
from tests.standin.http_messages import (
    BUFFER,
    SEND,
    Answer,
    Request,
    Traffic,
    encode,
    read_body,
    read_head,
)
from tests.standin.mailbox import Mailbox
from tests.standin.schedule import Schedule

GONE = (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class Standin:
    """One account on one port, with everything it was sent.

    Light, personalizations of the usual form are cleared by a schema instead of the full rules,
    and only a sample of the mail is rendered.
    """

    def __init__(self, log: Path, *, light: bool = False, latency: float = 0.0) -> None:
        self.light = light
        self.latency = latency
        self.account = Account()
        self.faults = Faults()
        self.traffic = Traffic()
        self.acceptances = AcceptanceLog(log)
        self.mailbox = Mailbox(self.account, light)
        self.emitter = Emitter(self.account)
        self.schedule = Schedule(self.account, self.acceptances, self.mailbox, self.emitter)

    async def listen(self, port: int) -> asyncio.Server:
        self._releasing = asyncio.create_task(self.schedule.run())
        return await asyncio.start_server(
            self._serve, "127.0.0.1", port, limit=BUFFER, backlog=1024
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.connect()
        try:
            while request := await read_head(reader):
                self.traffic.begin(counts=request.path == SEND)
                try:
                    if not await self._exchange(request, reader, writer):
                        break
                finally:
                    self.traffic.in_flight -= 1
        except (*GONE, asyncio.CancelledError):
            # When the server stops, a task that ends cancelled would be reported as an error.
            pass
        finally:
            self.traffic.open_connections -= 1
            writer.close()

    async def _exchange(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Read one body, answer it, and tell whether the connection stays open."""
        fault = self.faults.draw(request.path)
        if fault and fault.kind in BREAKS:
            if fault.kind == "reset_mid_body":
                await reader.readexactly(request.length // 2)
            writer.transport.abort()
            return False
        await read_body(request, reader, writer)
        if self.latency:
            await asyncio.sleep(self.latency)
        if fault and fault.kind == "accept_late":
            await asyncio.sleep(fault.seconds)
        answer = self.answer(request, fault)
        if answer.status >= 300 and request.path == SEND:
            self.traffic.refuse(answer.status)
        return await self._deliver(answer, request, writer, fault if answer.status < 300 else None)

    async def _deliver(
        self, answer: Answer, request: Request, writer: asyncio.StreamWriter, fault: Fault | None
    ) -> bool:
        kind = fault.kind if fault else None
        if fault and kind in ("accept_then_hang", "slow"):
            await asyncio.sleep(fault.seconds)
        if kind in UNANSWERED:
            return False
        if kind == "no_message_id":
            answer = answer._replace(headers={"Content-Type": "text/plain; charset=utf-8"})
        if kind == "truncated":
            answer = answer._replace(
                headers={**answer.headers, "Content-Length": str(len(answer.body) + 64)}
            )
        drip = fault.seconds if fault and kind == "accept_then_drip" else 0.0
        await _write(writer, encode(answer, request.keeps_alive), drip)
        return request.keeps_alive and kind not in ("truncated", "close_idle")

    def answer(self, request: Request, fault: Fault | None = None) -> Answer:
        """The answer to one request, with everything that follows from it already done."""
        if request.path.startswith("/_standin/"):
            return control.answer(self, request)
        if request.path == SEND:
            return self._send(request, fault)
        if fault and fault.kind in REFUSALS:
            return REFUSALS[fault.kind](fault)
        answer = endpoints.answer(self, request)
        lies = fault and fault.kind in LIES and answer.status < 300
        return LIES[fault.kind](fault) if fault and lies else answer

    def _send(self, request: Request, fault: Fault | None) -> Answer:
        if refused := rules.check_request(request, self.account):
            return refused
        data = request.body
        if self.account.gzip and request.headers.get("content-encoding") == "gzip":
            data = gzip.decompress(data)
        parsed = rules.parse(data, self.light)
        if isinstance(parsed, Answer):
            return parsed
        body = parsed.body
        if refused := rules.check_mail(body, self.account, parsed.plain):
            return refused
        if fault and fault.kind in REFUSALS:
            return REFUSALS[fault.kind](fault)
        addresses = (block["to"][0]["email"] for block in body["personalizations"])
        if refused := self.faults.refuse_address(addresses):
            return refused
        if body.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Answer(200)
        accepted = self._accept(body)
        return LIES[fault.kind](fault) if fault and fault.kind in LIES else accepted

    def _accept(self, body: dict[str, Any]) -> Answer:
        message_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        accepted = Accepted.of(body, message_id)
        stop = self.schedule.stop_of(accepted)
        self.acceptances.record(body, message_id, discarded=stop == "cancel")
        self.mailbox.take(body, message_id, discarded=stop == "cancel")
        if stop or accepted.send_at > time.time():
            self.schedule.hold(accepted, stop)
        else:
            self.emitter.take(accepted)
        self.account.spend(len(body["personalizations"]))
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Message-Id": message_id}
        return Answer(202, headers=headers)


async def _write(writer: asyncio.StreamWriter, data: bytes, drip: float) -> None:
    """Write all at once, or byte by byte, `drip` seconds apart, until the client is gone."""
    for part in [data[n : n + 1] for n in range(len(data))] if drip else [data]:
        writer.write(part)
        await writer.drain()
        if drip:
            await asyncio.sleep(drip)
