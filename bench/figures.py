"""A figure, and the mark that it has to reach."""

import json
from dataclasses import asdict, dataclass

LARGE_SEND = 100_000
"""Marks for sends apply from this many recipients on: a smaller send is mostly start-up time."""

LARGEST_SEND = 1_000_000


@dataclass(frozen=True)
class Mark:
    """What a figure has to reach, or with `at_most` has to stay below."""

    value: float
    at_most: bool = False


PAGE_MARKS = {"story.requests_per_second": Mark(1_000)}
SEND_MARKS = {
    "send.recipients_per_second": Mark(20_000),
    "send.peak_megabytes": Mark(200, at_most=True),
}
LARGEST_SEND_MARKS = {
    "send.plan_seconds": Mark(10, at_most=True),
    "send.recipients_per_second": Mark(50_000),
    "send.recipients_per_second_at_100_ms": Mark(40_000),
    "send.peak_megabytes": Mark(150, at_most=True),
    "send.memory_growth_percent": Mark(10, at_most=True),
    "leaving.p99_milliseconds": Mark(150, at_most=True),
    "leaving.last_acceptance_seconds": Mark(60, at_most=True),
    "events.seconds": Mark(60, at_most=True),
    "import.seconds": Mark(60, at_most=True),
    "import.peak_megabytes": Mark(200, at_most=True),
    "export.seconds": Mark(60, at_most=True),
    "export.peak_megabytes": Mark(200, at_most=True),
}
IMPORT_MARKS = {"import.differences_after_kills": Mark(1, at_most=True)}
EVENT_MARKS = {
    "events.lost": Mark(1, at_most=True),
    "events.p99_milliseconds": Mark(250, at_most=True),
}
LEDGER_MARKS = {"ledger.verify_seconds": Mark(10, at_most=True)}
STAFF_PAGE = Mark(150, at_most=True)
HISTORY_PAGE = Mark(100, at_most=True)
"""Milliseconds for the 95th percentile of the pages of a large newsroom."""

AUDIENCE_MARKS = {
    "audience.page.": Mark(200, at_most=True),
    "audience.search.": Mark(300, at_most=True),
    "audience.segment.": Mark(1, at_most=True),
    "audience.scans": Mark(1, at_most=True),
}
"""By name prefix: milliseconds for the 95th percentile of pages, seconds for a segment count."""

SIGNUP_MARKS = {
    "signup.mails_to_an_address": Mark(2, at_most=True),
    "signup.same_time.p": Mark(0.01),
    "signup.same_time.apart": Mark(2, at_most=True),
}
MARKS_OF_ANY_SIZE = {**SIGNUP_MARKS, **EVENT_MARKS, **LEDGER_MARKS, **IMPORT_MARKS}


@dataclass(frozen=True)
class Figure:
    """One measured value. Figures of readers' pages have no `size`."""

    figure: str
    database: str
    size: int | None
    value: float
    unit: str

    @property
    def mark(self) -> Mark | None:
        if self.size is None:
            return PAGE_MARKS.get(self.figure)
        if self.figure.startswith("audience."):
            marks = AUDIENCE_MARKS.items()
            return next((mark for name, mark in marks if self.figure.startswith(name)), None)
        if self.figure.endswith(".p95"):
            return HISTORY_PAGE if self.figure.startswith("public.") else STAFF_PAGE
        if self.figure in MARKS_OF_ANY_SIZE:
            return MARKS_OF_ANY_SIZE[self.figure]
        if self.size >= LARGEST_SEND:
            return LARGEST_SEND_MARKS.get(self.figure)
        return SEND_MARKS.get(self.figure) if self.size >= LARGE_SEND else None

    @property
    def holds(self) -> bool:
        """True if the mark is reached, or there is none."""
        if self.mark is None:
            return True
        if self.mark.at_most:
            return self.value < self.mark.value
        return self.value >= self.mark.value

    def to_json(self) -> str:
        """One line of JSON."""
        mark = self.mark.value if self.mark else None
        value = round(self.value) if self.value >= 1000 else round(self.value, 3)
        return json.dumps({**asdict(self), "value": value, "mark": mark, "holds": self.holds})

    def format_value(self) -> str:
        """The value with its unit."""
        digits = 0 if self.value >= 1000 else 1 if self.value >= 10 else 2
        return f"{self.value:,.{digits}f} {'/s' if self.unit == '1/s' else self.unit}"
