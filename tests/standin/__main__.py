"""Run the stand-in: python -m tests.standin --help."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.standin.account import API_KEY
from tests.standin.server import Standin


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.standin", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--log", type=Path, help="append accepted requests here, one JSON a line")
    parser.add_argument("--events-to", metavar="URL", help="post events to this webhook")
    parser.add_argument("--events-mode", default="normal", help="as in emitter.MODES, joined by +")
    parser.add_argument("--faults", type=json.loads, help="JSON as posted to /_standin/faults")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="wait before every answer")
    parser.add_argument("--check", choices=["full", "light"], default="full")
    parser.add_argument("--account", type=Path, help="JSON file as posted to /_standin/account")
    parser.add_argument("--sender-domain", action="append", default=[], help="verify one more")
    parser.add_argument("--attached", action="store_true", help="end when standard input ends")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    log = options.log or Path(tempfile.mkdtemp(prefix="standin-")) / "accepted.jsonl"
    standin = Standin(log, light=options.check == "light", latency=options.latency_ms / 1000)
    standin.account.sender_domains.update(options.sender_domain)
    if options.account:
        standin.account.change(json.loads(options.account.read_bytes()))
    if options.faults:
        standin.faults.push(options.faults)
    if options.events_to:
        standin.emitter.start(options.events_to, options.events_mode)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if options.attached:
        loop.add_reader(sys.stdin, stopped.set)
    server = await standin.listen(options.port)
    port = server.sockets[0].getsockname()[1]
    ready = {
        "url": f"http://127.0.0.1:{port}",
        "api_key": API_KEY,
        "public_key": standin.emitter.signer.public_key,
        "log": str(log),
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    server.close()
    standin.acceptances.close()


if __name__ == "__main__":
    # A parsed body is thousands of dicts without a cycle: looking for one costs more than parsing.
    gc.set_threshold(200_000, 50, 100)
    gc.freeze()
    asyncio.run(run(arguments()))
