"""How many recipients a second the stand-in takes: python -m tests.standin.bench --check light.

Bodies are made before the clock starts, 1,000 recipients each with 36 kB of html, and posted
over keep-alive connections by threads of this process; the stand-in is a process of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import orjson
import urllib3

from tests.standin.client import Standin
from tests.standin.sample_mail import mail, reader

CONNECTIONS = 8
RECIPIENTS = 1_000
FILLER = "<p>All the news that is fit to be disclosed, with its sources.</p>" * 550


def bodies(requests: int) -> list[bytes]:
    return [
        orjson.dumps(mail(*(reader(n) for n in range(start, start + RECIPIENTS)), filler=FILLER))
        for start in range(1, requests * RECIPIENTS, RECIPIENTS)
    ]


def post_all(standin: Standin, posts: Iterable[bytes]) -> None:
    headers = {"Authorization": f"Bearer {standin.api_key}", "Content-Type": "application/json"}
    http = urllib3.PoolManager(retries=False, maxsize=CONNECTIONS, block=True)

    def post(body: bytes) -> None:
        answer = http.request("POST", f"{standin.url}/v3/mail/send", body=body, headers=headers)
        if answer.status != 202:
            raise RuntimeError(answer.data)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(post, posts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", choices=["full", "light"], default="full")
    parser.add_argument("--requests", type=int, default=100)
    options = parser.parse_args()
    posts = bodies(options.requests)
    with Standin("--check", options.check) as standin:
        before = standin.stats()["cpu_seconds"]
        began = time.perf_counter()
        post_all(standin, posts)
        seconds = time.perf_counter() - began
        stats = standin.stats()
    busy = stats["cpu_seconds"] - before
    count = stats["recipients"]
    sys.stdout.write(
        f"{options.check}: {count:,} recipients in {seconds:.2f} s, {count / seconds:,.0f}/s; "
        f"{busy / count * 1e6:.1f} ms of the stand-in's CPU for 1,000; "
        f"{stats['problem_count']} problems\n"
    )


if __name__ == "__main__":
    main()
