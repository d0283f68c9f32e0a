"""Chart geometry: scales, ticks and the position of every mark, for a template that draws SVG.

Horizontal positions are percentages, so a chart fills its page while its text keeps its size.
Vertical positions are pixels. SVG polylines accept no percentages, so lines are drawn in a nested
SVG of LINE_UNITS units, which is stretched to the same width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import NamedTuple

LINE_UNITS = 1000
TOP_MARGIN, PLOT_HEIGHT, FOOT_HEIGHT = 16, 190, 28
CHART_HEIGHT = TOP_MARGIN + PLOT_HEIGHT + FOOT_HEIGHT
BAR_SHARE = 0.7
"""The share of a place's width that a bar fills."""


class ChartLabel(NamedTuple):
    """Text at a position: `at` is in pixels on the scale, in percent below the plot."""

    at: float
    text: str
    anchor: str = "middle"


class ChartBar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    kind: str


class ChartLine(NamedTuple):
    points: str
    kind: str


class ChartDot(NamedTuple):
    x: float
    y: float
    kind: str
    text: str


class ChartHotspot(NamedTuple):
    """An area that shows a tooltip when the pointer is over it."""

    x: float
    width: float
    text: str


@dataclass
class Chart:
    """A chart. `description` sums it up in a sentence for screen readers."""

    name: str
    title: str
    description: str
    scale_labels: list[ChartLabel]
    foot_labels: list[ChartLabel]
    zero: float
    bars: list[ChartBar] = field(default_factory=list)
    lines: list[ChartLine] = field(default_factory=list)
    limits: list[tuple[ChartLabel, str]] = field(default_factory=list)
    dots: list[ChartDot] = field(default_factory=list)
    hotspots: list[ChartHotspot] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class ChartAxes:
    """The places of a chart, side by side, and its scale from `low` to `high`."""

    places: int
    low: float
    high: float

    def x(self, place: float) -> float:
        """The centre of a place, in percent."""
        return round(100 * (place + 0.5) / self.places, 3)

    def y(self, value: float) -> float:
        """A value's distance from the top, in pixels."""
        extent = (self.high - self.low) or 1
        return round(TOP_MARGIN + PLOT_HEIGHT * (self.high - value) / extent, 2)

    def bar(self, place: int, start: float, end: float, kind: str) -> ChartBar:
        """A bar from `start` to `end`, at least one pixel high so that it stays visible."""
        above, below = self.y(max(start, end)), self.y(min(start, end))
        width, height = BAR_SHARE * 100 / self.places, round(max(below - above, 1), 2)
        left = round(self.x(place) - width / 2, 3)
        return ChartBar(left, above, round(width, 3), height, kind)

    def lines(self, values: Sequence[float | None], kind: str) -> list[ChartLine]:
        """A line through the values, interrupted where a value is missing."""
        segments: list[list[str]] = [[]]
        for place, value in enumerate(values):
            if value is None:
                segments.append([])
            else:
                segments[-1].append(f"{self.x(place) * LINE_UNITS / 100:.1f},{self.y(value)}")
        for points in segments:
            if len(points) == 1:
                # A polyline of one point is invisible, so a single value becomes a short line.
                x, y = points[0].split(",")
                points.append(f"{float(x) + 2:.1f},{y}")
        return [ChartLine(" ".join(points), kind) for points in segments if points]

    def hotspots(self, texts: Sequence[str]) -> list[ChartHotspot]:
        """One tooltip area for each place that has a text."""
        width = 100 / self.places
        return [
            ChartHotspot(round(place * width, 3), round(width, 3), text)
            for place, text in enumerate(texts)
            if text
        ]


def make_axes(
    places: int, low: float, high: float, *, min_step: float = 1
) -> tuple[ChartAxes, list[float]]:
    """Axes that contain `low` and `high`, and the round values of their grid lines."""
    ticks = round_ticks(low, high, min_step=min_step)
    return ChartAxes(places, ticks[0], ticks[-1]), ticks


def round_ticks(low: float, high: float, *, target: int = 4, min_step: float = 1) -> list[float]:
    """About `target` round numbers, at least `min_step` apart, that enclose `low` and `high`."""
    step = max(_round_step((high - low or min_step) / target), min_step)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, max(last, first + 1) + 1)]


def scale_labels(
    axes: ChartAxes, ticks: Sequence[float], format_value: Callable[[float], str]
) -> list[ChartLabel]:
    return [ChartLabel(axes.y(value), format_value(value), "end") for value in ticks]


def foot_labels(axes: ChartAxes, texts: Sequence[str], limit: int = 5) -> list[ChartLabel]:
    """Labels under the plot: the first place, the last, and some between, evenly spaced."""
    if axes.places == 1:
        return [ChartLabel(50, texts[0])]
    count = min(limit, axes.places)
    chosen = [round(n * (axes.places - 1) / (count - 1)) for n in range(count)]
    labels = [ChartLabel(axes.x(place), texts[place]) for place in chosen]
    return [
        ChartLabel(0, labels[0].text, "start"),
        *labels[1:-1],
        ChartLabel(100, labels[-1].text, "end"),
    ]


def format_compact(value: float) -> str:
    """A number short enough for a scale: 950, 1,500, 25k, 1.2M."""
    size = abs(value)
    for unit, suffix in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and size >= 10_000:
            return f"{value / unit:.2f}".rstrip("0").rstrip(".").replace("-", "−") + suffix
    return f"{value:,.0f}".replace("-", "−")


def format_percent(share: float) -> str:
    """0.0012 as 0.12%, with no more digits than the size of the number needs."""
    value = 100 * share
    digits = 0 if value >= 10 or value == 0 else 1 if value >= 1 else 2 if value >= 0.01 else 3
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def _round_step(at_least: float) -> float:
    """The next number of 1, 2, 5, 10, 20, 50… times a power of ten."""
    power = 10.0 ** floor(log10(at_least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= at_least * (1 - 1e-9))
