"""The measured process: delivers one send as a worker does, and nothing else.

python -m bench.deliver_one_send SEND_ID. Prints the seconds of delivery, then waits for the end of
its standard input, so that its memory can be read meanwhile.
"""

import json
import sys
import time

from nif.cli.common import load_services
from nif.jobs.worker import Worker, tune_garbage_collector


def main(send_id: int) -> None:
    worker = Worker(services := load_services())
    tune_garbage_collector()
    started = time.perf_counter()
    worker.deliver_send(send_id)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds}), flush=True)
    sys.stdin.read()
    services.database.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
