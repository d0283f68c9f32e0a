"""Charts as numbers that a template draws: scales, ticks, and where each mark goes.

Across, everything is in percent, so that a drawing is as wide as its page and its words stay as
large as all others; downwards it is in pixels. Curves cannot be drawn in percent, so they have a
drawing of their own, WIDE units across, which is stretched to the same width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

LINE_UNITS = 1000
TOP, PLOT, FOOT = 16, 190, 28
CHART_HEIGHT = TOP + PLOT + FOOT
BAR_SHARE = 0.7
"""The part of its room that a bar takes."""


@dataclass(frozen=True)
class ChartLabel:
    """Words at a place: `at` is in pixels on the scale, in percent below the plot."""

    at: float
    words: str
    anchor: str = "middle"


@dataclass(frozen=True)
class ChartBar:
    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class ChartLine:
    points: str
    kind: str


@dataclass(frozen=True)
class ChartDot:
    x: float
    y: float
    kind: str
    words: str


@dataclass(frozen=True)
class ChartHotspot:
    """What a pointer may rest upon, and the words that it is then told."""

    x: float
    width: float
    words: str


@dataclass
class Chart:
    """A drawing. `says` is its message in a sentence, for those who do not see it."""

    name: str
    title: str
    says: str
    scale: list[ChartLabel]
    foot: list[ChartLabel]
    zero: float
    bars: list[ChartBar] = field(default_factory=list)
    curves: list[ChartLine] = field(default_factory=list)
    limits: list[tuple[ChartLabel, str]] = field(default_factory=list)
    dots: list[ChartDot] = field(default_factory=list)
    spots: list[ChartHotspot] = field(default_factory=list)
    key: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ChartAxes:
    """A number of places side by side, and a scale from `low` to `high`."""

    places: int
    low: float
    high: float

    def x(self, place: float) -> float:
        """The middle of a place, in percent."""
        return round(100 * (place + 0.5) / self.places, 3)

    def y(self, value: float) -> float:
        """In pixels from the top."""
        whole = (self.high - self.low) or 1
        return round(TOP + PLOT * (self.high - value) / whole, 2)

    def bar(self, place: int, start: float, end: float, kind: str) -> ChartBar:
        """From one value to another; never so thin that it cannot be seen."""
        above, below = self.y(max(start, end)), self.y(min(start, end))
        width = BAR_SHARE * 100 / self.places
        return ChartBar(
            round(self.x(place) - width / 2, 3),
            above,
            round(width, 3),
            round(max(below - above, 1), 2),
            kind,
        )

    def curves(self, values: Sequence[float | None], kind: str) -> list[ChartLine]:
        """A line through the values; where there are none it is interrupted."""
        pieces: list[list[str]] = [[]]
        for place, value in enumerate(values):
            if value is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{self.x(place) * LINE_UNITS / 100:.1f},{self.y(value)}")
        # Of a single value a line shows nothing: it is given a length.
        return [
            ChartLine(" ".join(one if len(one) > 1 else [*one, _shift_right(one[0])]), kind)
            for one in pieces
            if one
        ]

    def spots(self, words: Sequence[str]) -> list[ChartHotspot]:
        width = 100 / self.places
        return [
            ChartHotspot(round(n * width, 3), round(width, 3), told)
            for n, told in enumerate(words)
            if told
        ]


def make_axes(
    places: int, low: float, high: float, *, least: float = 1
) -> tuple[ChartAxes, list[float]]:
    """A frame that holds these values, and the round ones at which its scale has a line."""
    lines = round_ticks(low, high, least=least)
    return ChartAxes(places, lines[0], lines[-1]), lines


def round_ticks(low: float, high: float, *, most: int = 4, least: float = 1) -> list[float]:
    """Round numbers, `least` or more apart, about `most`, from below `low` to above `high`."""
    step = max(_round_step((high - low or least) / most), least)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]


def scale_labels(
    frame: ChartAxes, lines: Sequence[float], words: Callable[[float], str]
) -> list[ChartLabel]:
    return [ChartLabel(frame.y(value), words(value), "end") for value in lines]


def foot_labels(frame: ChartAxes, words: Sequence[str], most: int = 5) -> list[ChartLabel]:
    """Some of the words under their places: the first, the last, and those between."""
    if frame.places == 1:
        return [ChartLabel(50, words[0])]
    count = min(most, frame.places)
    chosen = [round(n * (frame.places - 1) / (count - 1)) for n in range(count)]
    marks = [ChartLabel(frame.x(place), words[place]) for place in chosen]
    return [
        ChartLabel(0, marks[0].words, "start"),
        *marks[1:-1],
        ChartLabel(100, marks[-1].words, "end"),
    ]


def format_compact(value: float) -> str:
    """A number short enough for a scale: 950, 1,500, 25k, 1.2M."""
    size = abs(value)
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and size >= 10_000:
            return f"{value / unit:.2f}".rstrip("0").rstrip(".").replace("-", "−") + letter
    return f"{value:,.0f}".replace("-", "−")


def format_percent(share: float) -> str:
    """0.0012 as 0.12%; as few digits as tell it."""
    value = 100 * share
    digits = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2 if value >= 0.01 else 3
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def _round_step(least: float) -> float:
    """The next of 1, 2, 5, 10, 20, 50… times a power of ten."""
    power = 10.0 ** floor(log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))


def _shift_right(point: str) -> str:
    x, y = point.split(",")
    return f"{float(x) + 2:.1f},{y}"
