"""Labels and sentences of the analytics page: sources, complaint and bounce rates."""

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
    """The label of a source, and its address if it is a page."""

    text: str
    page: str | None = None


PAGE_LABELS = {
    "/": "The front page",
    "/subscribe": "The sign-up page",
    "/articles": "A story",
    "/newsletters": "A newsletter’s page",
    "/preferences": "The preferences page",
    "/tags": "A topic’s page",
    "/confirm": "The link in a confirmation email",
    "/admin": "An admin",
    "/unsubscribe": "The unsubscribe page",
}
"""Labels of pages by the first part of their addresses."""

LEVEL_LABELS = {
    ReputationLevel.UNKNOWN: ("", "Too few mails"),
    ReputationLevel.GOOD: ("good", "Good"),
    ReputationLevel.HIGH: ("bad", "Too high"),
    ReputationLevel.CRITICAL: ("bad", "At the limit"),
}
"""CSS class and text of the tag of each level."""

HIGH_AT_TIMES_LABEL = ("bad", "Too high at times")

COMPLAINT_SENTENCE = (
    "{share} of the mails delivered in the last 30 days were marked as spam: {events} of {mails}."
)
BOUNCE_SENTENCE = (
    "{share} of the mails of the last 30 days went to addresses that do not exist: {events} of "
    "{mails}."
)
COMPLAINT_ADVICE = {
    ReputationLevel.GOOD: "Gmail and Yahoo require less than {target}.",
    ReputationLevel.HIGH: "Gmail and Yahoo require less than {target} and reject mail at "
    "{maximum}. Check what was sent, and to which subscribers, before the next edition.",
    ReputationLevel.CRITICAL: "At {maximum}, Gmail and Yahoo reject mail; Gmail does so until the "
    "rate was lower for seven days in a row. Mail only subscribers who signed up recently.",
}
BOUNCE_ADVICE = {
    ReputationLevel.GOOD: "Below {target} is normal.",
    ReputationLevel.HIGH: "Lists of confirmed subscribers stay below {target}. Check the last "
    "import. NIF stops a send at {maximum}.",
    ReputationLevel.CRITICAL: "NIF stops a send at {maximum}: only unconfirmed lists bounce that "
    "much. Check the last import.",
}
LEVELS_BY_SEVERITY = list(ReputationLevel)


class RateAssessment(NamedTuple):
    """The level of a rate: class and text of its tag, and an explanation."""

    css_class: str
    label: str
    explanation: str


def label_source(source: str) -> SourceLabel:
    """The label of a source as the consent records name it."""
    if source.startswith("import:"):
        return SourceLabel(f"Import {source.removeprefix('import:')}")
    if source == ONE_CLICK_SOURCE:
        return SourceLabel("One click in the mail program")
    if not source.startswith("/"):
        return SourceLabel("The mail provider")
    first_part = "/" + source.split("/")[1]
    return SourceLabel(PAGE_LABELS.get(first_part, "Another page"), source)


def assess_rates(
    month: ReputationRates, week: ReputationRates, sends: Sequence[ReputationRates]
) -> Mapping[str, RateAssessment]:
    """The assessment of complaints and bounces: the worse of the last 30 and the last 7 days.

    Single sends above the target are mentioned.
    """
    every = (month, week, *sends)
    complaints, bounces = [rates.complaints for rates in every], [rates.bounces for rates in every]
    return {
        "complaints": _assess_rate(
            COMPLAINT_SENTENCE, COMPLAINT_ADVICE, COMPLAINT_THRESHOLDS, complaints
        ),
        "bounces": _assess_rate(BOUNCE_SENTENCE, BOUNCE_ADVICE, BOUNCE_THRESHOLDS, bounces),
    }


def _assess_rate(
    summary: str,
    advice: Mapping[ReputationLevel, str],
    thresholds: RateThresholds,
    rates: Sequence[EventRate],
) -> RateAssessment:
    month, week, *sends = rates
    if month.share is None:
        return RateAssessment(*LEVEL_LABELS[ReputationLevel.UNKNOWN], _explain_too_few(month))
    level = max((rate.level(thresholds) for rate in (month, week)), key=LEVELS_BY_SEVERITY.index)
    above = [
        rate
        for rate in sends
        if rate.level(thresholds) in {ReputationLevel.HIGH, ReputationLevel.CRITICAL}
    ]
    at_times = level is ReputationLevel.GOOD and above
    sentences = [summary, advice[level]]
    if week.share is not None and week.level(thresholds) is not month.level(thresholds):
        sentences.insert(1, f"In the last seven days it is {format_percent(week.share)}.")
    if above:
        which = "The last send" if len(sends) == 1 else f"{len(above)} of the last {len(sends)}"
        sentences.append(f"{which} was above the target.")
    numbers = {"share": format_percent(month.share), "target": format_percent(thresholds.target)}
    numbers |= {"maximum": format_percent(thresholds.maximum)}
    explanation = " ".join(sentences).format(
        events=format_number(month.events), mails=format_number(month.mails), **numbers
    )
    return RateAssessment(*(HIGH_AT_TIMES_LABEL if at_times else LEVEL_LABELS[level]), explanation)


def _explain_too_few(rate: EventRate) -> str:
    if rate.mails == 0:
        return "Nothing was delivered in the last 30 days."
    return (
        f"{format_number(rate.events)} of {format_number(rate.mails)} in the last 30 days. A "
        "rate is meaningful from 1,000 mails."
    )
