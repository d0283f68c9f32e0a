"""Measures pages and sends: python -m bench, or make bench. See docs/figures.md."""

import sys

from bench.pages import measure_pages
from bench.runner import run
from bench.sends import measure_sends

if __name__ == "__main__":
    sys.exit(run(measure_pages, measure_sends))
