"""The figures of the event webhook: python -m bench.events, or make bench-events."""

import sys

from bench.hearing import measure_flood, measure_stream
from bench.running import run

if __name__ == "__main__":
    sys.exit(run(measure_flood, measure_stream, sizes="1000000"))
