"""What the figures say in words: where people came from, and how the mail stands."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nif.sends.reputation import (
    BOUNCE_THRESHOLDS,
    COMPLAINT_THRESHOLDS,
    EventRate,
    RateThresholds,
    ReputationLevel,
    ReputationRates,
)
from nif.subscriptions.unsubscribe import ONE_CLICK_SOURCE
from nif.web.admin.chart_layout import format_percent
from nif.web.filters import format_number


class SourceLabel(NamedTuple):
    """A source in words, and its page where it is one."""

    words: str
    page: str | None = None


PAGE_LABELS = {
    "/": "The front page",
    "/subscribe": "The page to subscribe on",
    "/articles": "A story",
    "/newsletters": "The page of a newsletter",
    "/preferences": "Readers’ own pages",
    "/tags": "The stories of a subject",
    "/confirm": "The link in a confirmation",
    "/admin": "Taken off by an admin",
    "/unsubscribe": "The page to leave on",
}
"""Pages by how their addresses begin."""

STANDING_LABELS = {
    ReputationLevel.UNKNOWN: ("", "Too few mails to say"),
    ReputationLevel.GOOD: ("good", "As it should be"),
    ReputationLevel.HIGH: ("bad", "Too high"),
    ReputationLevel.CRITICAL: ("bad", "At the limit"),
}
"""A standing as a tag shows it: its class, and its words."""

HIGH_AT_TIMES_LABEL = ("bad", "Too high at times")

COMPLAINT_SENTENCE = (
    "{share} of the mails delivered in the last 30 days were called spam: {part} of {whole}."
)
BOUNCE_SENTENCE = (
    "{share} of the mails of the last 30 days went to addresses that do not exist: {part} of "
    "{whole}."
)
COMPLAINT_ADVICE = {
    ReputationLevel.GOOD: "Gmail and Yahoo want less than {wanted}.",
    ReputationLevel.HIGH: "Gmail and Yahoo want less than {wanted}, and refuse "
    "mail from {most} on. Look "
    "at what was sent, and to whom, before the next edition.",
    ReputationLevel.CRITICAL: "From {most} on Gmail and Yahoo refuse mail, Gmail "
    "until it was lower for seven "
    "days in a row. Mail only who asked for it of late.",
}
BOUNCE_ADVICE = {
    ReputationLevel.GOOD: "Below {wanted} nobody minds.",
    ReputationLevel.HIGH: "A list that was asked keeps below {wanted}. Look at "
    "what was imported last. "
    "NIF stops a send at {most}.",
    ReputationLevel.CRITICAL: "NIF stops a send at {most}: only a list that was not "
    "asked has so many. Look "
    "at what was imported last.",
}
STANDINGS_BY_SEVERITY = list(ReputationLevel)


class RateAssessment(NamedTuple):
    """How a rate stands: the tag's class and words, and what it means."""

    kind: str
    words: str
    means: str


def label_source(told: str) -> SourceLabel:
    """What a source is called."""
    if told.startswith("import:"):
        return SourceLabel(f"Import {told.removeprefix('import:')}")
    if told == ONE_CLICK_SOURCE:
        return SourceLabel("One click in the mail program")
    if not told.startswith("/"):
        return SourceLabel("By way of the mail provider")
    begins = "/" + told.split("/")[1]
    return SourceLabel(PAGE_LABELS.get(begins, "Another page"), told)


def assess_rates(
    month: ReputationRates, week: ReputationRates, sends: Sequence[ReputationRates]
) -> Mapping[str, RateAssessment]:
    """How complaints and bounces stand: of 30 days, of the last seven, and of single sends."""
    every = (month, week, *sends)
    complaints, bounces = [one.complaints for one in every], [one.bounces for one in every]
    return {
        "complaints": _assess_rate(
            COMPLAINT_SENTENCE, COMPLAINT_ADVICE, COMPLAINT_THRESHOLDS, complaints
        ),
        "bounces": _assess_rate(BOUNCE_SENTENCE, BOUNCE_ADVICE, BOUNCE_THRESHOLDS, bounces),
    }


def _assess_rate(
    told: str,
    means: Mapping[ReputationLevel, str],
    limit: RateThresholds,
    rates: Sequence[EventRate],
) -> RateAssessment:
    month, week, *sends = rates
    if month.share is None:
        return RateAssessment(*STANDING_LABELS[ReputationLevel.UNKNOWN], _explain_too_few(month))
    standing = max((one.level(limit) for one in (month, week)), key=STANDINGS_BY_SEVERITY.index)
    above = [
        one for one in sends if one.level(limit) in {ReputationLevel.HIGH, ReputationLevel.CRITICAL}
    ]
    at_times = standing is ReputationLevel.GOOD and above
    sentences = [told, means[standing]]
    if week.share is not None and week.level(limit) is not month.level(limit):
        sentences.insert(1, f"Of the last seven days it is {format_percent(week.share)}.")
    if above:
        of = "The last send" if len(sends) == 1 else f"{len(above)} of the last {len(sends)} sends"
        sentences.append(f"{of} had more than is wanted.")
    given = {"share": format_percent(month.share), "wanted": format_percent(limit.target)}
    given |= {"most": format_percent(limit.maximum)}
    words = " ".join(sentences).format(
        part=format_number(month.events), whole=format_number(month.mails), **given
    )
    return RateAssessment(*(HIGH_AT_TIMES_LABEL if at_times else STANDING_LABELS[standing]), words)


def _explain_too_few(rate: EventRate) -> str:
    if rate.mails == 0:
        return "Nothing was delivered in the last 30 days."
    return (
        f"{format_number(rate.events)} of {format_number(rate.mails)} in the last 30 days. A "
        f"rate means something "
        "from 1,000 mails on."
    )
