"""The charts of the figures: how many there are, who came and went, and how healthy the mail is."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import date

from nif.sends.comparing import Compared
from nif.sends.rating import Limit, Rate, Standing
from nif.subscriptions.days import Happening
from nif.subscriptions.growing import Span
from nif.web.admin.charting import (
    Chart,
    Dot,
    Frame,
    Mark,
    compact,
    foot,
    framed,
    percent,
    scale,
)
from nif.web.filters import number

FILES = (Happening.IMPORTED, Happening.REMOVED)
LEFT = (Happening.LEFT, Happening.ERASED)
LONG = 200
"""Days from which on a foot names months, and no days."""


def audience(spans: Sequence[Span]) -> Chart:
    """How many were on the lists at the end of each span."""
    values = [one.confirmed for one in spans]
    # From nothing, unless all that is of interest would be a flat line far above.
    low = 0 if min(values) < max(values) / 2 else min(values)
    frame, lines = framed(len(spans), low, max(max(values), low + 1))
    frame, lines = _not_below_nothing(frame, lines)
    first, last = values[0], values[-1]
    made = Chart(
        name="audience",
        title="Subscriptions at the end of each " + ("day" if _by_day(spans) else "week"),
        says=f"From {number(first)} to {number(last)} confirmed subscriptions.",
        scale=scale(frame, lines, compact),
        foot=foot(frame, _days(spans)),
        zero=frame.y(frame.low),
        curves=frame.curves(values, "line"),
        spots=frame.spots([f"{when(one)}: {number(one.confirmed)}" for one in spans]),
    )
    made.dots = [
        Dot(frame.x(place), frame.y(one.confirmed), "file", _of_files(one))
        for place, one in enumerate(spans)
        if one.of(*FILES)
    ]
    if made.dots:
        made.key = [("line", "subscriptions"), ("file", "brought in or taken off by a file")]
    made.dots.append(Dot(frame.x(len(spans) - 1), frame.y(last), "last", number(last)))
    return made


def traffic(spans: Sequence[Span]) -> Chart:
    """What readers did: who joined, above the line; who left or got out of reach, below it.

    Files are not in it: of a few days with a thousand each, all others would look empty.
    """
    net = [one.of(Happening.JOINED) - one.of(*LEFT) for one in spans]
    high = max(max(one.of(Happening.JOINED) for one in spans), 1)
    low = min(-max(one.of(*LEFT) + one.out_of_reach for one in spans), *net)
    frame, lines = framed(len(spans), min(low, 0), high)
    joined, left = (
        sum(one.of(Happening.JOINED) for one in spans),
        sum(one.of(*LEFT) for one in spans),
    )
    made = Chart(
        name="traffic",
        title="Who joined and who left, by " + ("day" if _by_day(spans) else "week"),
        says=f"{number(joined)} joined, {number(left)} left, "
        f"{number(sum(one.out_of_reach for one in spans))} bounced or complained.",
        scale=scale(frame, lines, lambda value: compact(abs(value))),
        foot=foot(frame, _days(spans)),
        zero=frame.y(0),
        curves=frame.curves(net, "net"),
        spots=frame.spots([_told(one) for one in spans]),
        key=[
            ("joined", "joined"),
            ("went", "left"),
            ("lost", "bounced or complained"),
            ("net", "joined less left"),
        ],
    )
    for place, one in enumerate(spans):
        went = one.of(*LEFT)
        steps = (
            ("joined", 0, one.of(Happening.JOINED)),
            ("went", 0, -went),
            ("lost", -went, -went - one.out_of_reach),
        )
        made.bars += [frame.bar(place, a, b, kind) for kind, a, b in steps if a != b]
    return made


def rates(
    name: str,
    days: Sequence[tuple[date, Rate]],
    sends: Sequence[tuple[Compared, Rate]],
    limit: Limit,
) -> Chart:
    """A rate of seven days, for each of some days, the sends as dots, and the limits as lines."""
    ends = [day for day, _ in days]
    shown = [(one, rate) for one, rate in sends if one.day >= ends[0] and rate.share is not None]
    shares = [rate.share for _, rate in days]
    highest = max((share for share in [*shares, *(r.share for _, r in shown)] if share), default=0)
    frame, lines = framed(len(days), 0, max(highest, limit.most) * 1.05, least=limit.wanted / 100)
    known = [share for share in shares if share is not None]
    made = Chart(
        name=name,
        title="Seven days at a time, and each send",
        says=f"The last seven days: {percent(known[-1])}; the highest: {percent(highest)}. "
        f"Wanted: below {percent(limit.wanted)}; refused from {percent(limit.most)}."
        if known
        else f"Too few mails for a rate. Wanted: below {percent(limit.wanted)}.",
        scale=scale(frame, lines, percent),
        foot=foot(frame, [_day(day, (ends[-1] - ends[0]).days) for day in ends]),
        zero=frame.y(0),
        curves=frame.curves(shares, "line"),
        spots=frame.spots([_share(day, rate) for day, rate in days]),
        limits=[
            (Mark(frame.y(limit.wanted), f"wanted: below {percent(limit.wanted)}"), "wanted"),
            (Mark(frame.y(limit.most), f"limit: {percent(limit.most)}"), "most"),
        ],
        key=[
            ("line", "the last seven days"),
            ("send", "a send"),
            ("send high", "a send above what is wanted"),
        ],
    )
    for one, rate in shown:
        kind = "send" if rate.standing(limit) is Standing.GOOD else "send high"
        words = f"{one.subject}, {_day(one.day, 0)}: {percent(rate.share or 0)}"
        made.dots.append(
            Dot(frame.x(bisect_left(ends, one.day)), frame.y(rate.share or 0), kind, words)
        )
    return made


def when(span: Span) -> str:
    """A day, or the days from and to."""
    if span.first == span.last:
        return f"{span.last:%a} {_day(span.last, 0)}"
    return f"{_day(span.first, 0)} to {_day(span.last, 0)}"


def _of_files(span: Span) -> str:
    came, went = span.of(Happening.IMPORTED), span.of(Happening.REMOVED)
    told = [f"{number(came)} brought in"] if came else []
    told += [f"{number(went)} taken off"] if went else []
    return f"{when(span)}: {' and '.join(told)} by a file"


def _told(span: Span) -> str:
    parts = [f"{when(span)}: {number(span.of(Happening.JOINED))} joined"]
    more = (
        (span.of(Happening.IMPORTED), "brought in by a file"),
        (span.of(Happening.LEFT), "left"),
        (span.of(Happening.REMOVED), "taken off by a file"),
        (span.of(Happening.ERASED), "forgotten"),
        (span.of(Happening.BOUNCED), "bounced"),
        (span.of(Happening.COMPLAINED), "complained"),
    )
    return ", ".join([*parts, *(f"{number(count)} {words}" for count, words in more if count)])


def _share(day: date, rate: Rate) -> str:
    told = "too few mails to say" if rate.share is None else percent(rate.share)
    return f"The seven days to {_day(day, 0)}: {told} ({number(rate.part)} of {number(rate.whole)})"


def _days(spans: Sequence[Span]) -> list[str]:
    count = (spans[-1].last - spans[0].first).days
    return [_day(one.last, count) for one in spans]


def _day(day: date, count: int) -> str:
    return f"{day:%b %Y}" if count > LONG else f"{day.day} {day:%b}"


def _by_day(spans: Sequence[Span]) -> bool:
    return spans[-1].first == spans[-1].last


def _not_below_nothing(frame: Frame, lines: list[float]) -> tuple[Frame, list[float]]:
    if frame.low >= 0:
        return frame, lines
    return Frame(frame.places, 0, frame.high), [value for value in lines if value >= 0]
