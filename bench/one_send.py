"""The process that is measured: it delivers one send as a worker does, and no more.

python -m bench.one_send SEND_ID. It prints the seconds that delivering took, and waits for its
standard input to end, so that its memory can be read while it is there.
"""

import json
import sys
import time

from nif.cli.common import load_services
from nif.jobs.worker import Worker, tune_garbage_collector


def main(send_id: int) -> None:
    worker = Worker(services := load_services())
    tune_garbage_collector()
    began = time.perf_counter()
    worker.deliver_send(send_id)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds}), flush=True)
    sys.stdin.read()
    services.database.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
