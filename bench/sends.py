"""The figures of sends alone: python -m bench.sends, or make bench-send."""

import sys

from bench.choosing import LARGE_SIZES
from bench.leaving import measure_leaving
from bench.running import run
from bench.sending import measure_sends

if __name__ == "__main__":
    sys.exit(run(measure_sends, measure_leaving, sizes=LARGE_SIZES))
