"""Analytics: growth, sources, deliverability and a comparison of editions; also as CSV and JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from nif.clock import utc_now
from nif.errors import NotFound
from nif.sends.reports import SendStatistics, list_send_statistics
from nif.sends.reputation import (
    BOUNCE_LIMITS,
    COMPLAINT_LIMITS,
    MIN_MAILS_FOR_RATE,
    EventRate,
    MailHealth,
    RateLevel,
    mail_health_of_span,
    rolling_mail_health,
)
from nif.spreadsheets import write_csv
from nif.subscriptions.lifecycle import ONE_CLICK_SOURCE
from nif.subscriptions.lists import all_lists
from nif.subscriptions.models import ListMetric, MailingList, day_in_site_zone
from nif.subscriptions.statistics import (
    ARRIVALS,
    GrowthPeriod,
    count_by_source,
    group_periods,
    growth_by_day,
    merge_periods,
)
from nif.web.access import Access, page_view
from nif.web.admin import charts
from nif.web.admin.charts import Chart, format_percent
from nif.web.files import download_response
from nif.web.filters import format_number

PERIOD_LABELS = {30: "30 days", 90: "90 days", 364: "52 weeks"}
MONTH_DAYS = 30
WEEKLY_FROM_DAYS = 200
EDITIONS_SHOWN = 12
SOURCES_SHOWN = 10
EDITIONS_EXPORTED = SOURCES_EXPORTED = 500
EVENT_COLUMNS = ("delivered", "deferred", "blocked", "bounce", "dropped", "spamreport")
TRACKING_COLUMNS = ("open", "machine_open", "click")

blueprint = Blueprint("admin_analytics", __name__, url_prefix="/admin/analytics")
blueprint.add_app_template_filter(format_percent, "percent")


@dataclass(frozen=True)
class ReportFilter:
    """All lists or one, and a period that ends today. `slug` is empty for all lists."""

    all_lists: Sequence[MailingList]
    lists: Sequence[MailingList]
    slug: str
    period: int
    first: date
    last: date

    def as_query(self, **other: object) -> dict[str, object]:
        """The query for this filter, with changes."""
        return {"list": self.slug, "days": self.period, **other}


def read_report_filter(session: Session, now: datetime) -> ReportFilter:
    """The filter of the request. Values that are not valid mean all lists and 30 days."""
    mailing_lists = all_lists(session)
    chosen = [found for found in mailing_lists if found.slug == request.args.get("list", "")]
    typed = request.args.get("days", "")
    period = next((days for days in PERIOD_LABELS if str(days) == typed), MONTH_DAYS)
    last = day_in_site_zone(session, now)
    return ReportFilter(
        mailing_lists,
        chosen or mailing_lists,
        chosen[0].slug if chosen else "",
        period,
        last - timedelta(days=period - 1),
        last,
    )


def _days_with_month_before(session: Session, report: ReportFilter) -> list[GrowthPeriod]:
    """The days of the filter and the month before, which the monthly rates need."""
    before = timedelta(days=MONTH_DAYS)
    return growth_by_day(session, report.lists, report.first - before, report.last)


def _count_sources(
    session: Session, report: ReportFilter, *, most: int
) -> tuple[dict[str, int], dict[str, int]]:
    """The sources of new subscribers, at most so many, and the ways of unsubscribing."""
    ways = count_by_source(session, report.lists, [ListMetric.UNSUBSCRIBED], report.first)
    return count_by_source(session, report.lists, ARRIVALS, report.first, most=most), ways


@page_view(blueprint, Access.ADMIN, "")
def show(session: Session) -> str:
    now = utc_now()
    report = read_report_filter(session, now)
    if not report.all_lists:
        return render_template("admin/analytics/show.html", report=None)
    past = _days_with_month_before(session, report)
    editions = list_send_statistics(session, report.lists, most=EDITIONS_SHOWN, now=now)
    arrivals, unsubscribes = _count_sources(session, report, most=SOURCES_SHOWN)
    shown, step = past[-report.period :], 7 if report.period > WEEKLY_FROM_DAYS else 1
    total, periods = merge_periods(shown), group_periods(step, shown)
    rolling = rolling_mail_health(past, report.first)[::-step][::-1]
    return render_template(
        "admin/analytics/show.html",
        report=report,
        period_labels=PERIOD_LABELS,
        total=total,
        count_before=past[-report.period - 1].confirmed,
        periods=periods,
        describe_period=charts.describe_period,
        arrival_sources=_label_sources(arrivals, total.arrivals),
        unsubscribe_sources=_label_sources(unsubscribes, total.total_of(ListMetric.UNSUBSCRIBED)),
        one_click_count=unsubscribes.get(ONE_CLICK_SOURCE, 0),
        assessments=assess_mail_health(
            mail_health_of_span(merge_periods(past[-MONTH_DAYS:])),
            rolling[-1][1],
            [edition.health for edition in editions],
        ),
        rolling=rolling,
        limits={"complaints": COMPLAINT_LIMITS, "bounces": BOUNCE_LIMITS},
        editions=editions,
        is_tracked=any(edition.is_tracked for edition in editions),
        charts=_draw_charts(periods, rolling, editions),
    )


def _draw_charts(
    periods: Sequence[GrowthPeriod],
    rolling: Sequence[tuple[date, MailHealth]],
    editions: Sequence[SendStatistics],
) -> dict[str, Chart]:
    """The charts that have something to show, by name."""
    drawn: dict[str, Chart] = {}
    if any(period.confirmed for period in periods):
        drawn["audience"] = charts.draw_audience(periods)
    if any(period.arrivals or period.departures or period.unreachable for period in periods):
        drawn["traffic"] = charts.draw_traffic(periods)
    for name in ("complaints", "bounces"):
        days: list[tuple[date, EventRate]] = [(day, getattr(one, name)) for day, one in rolling]
        if any(rate.share is not None for _, rate in days):
            sends = [(edition, getattr(edition.health, name)) for edition in editions]
            drawn[name] = charts.draw_rates(name, days, sends)
    return drawn


PAGE_LABELS = {
    "": "The front page",
    "subscribe": "The sign-up page",
    "articles": "A story",
    "newsletters": "A newsletter’s page",
    "preferences": "The preferences page",
    "tags": "A topic’s page",
    "confirm": "The link in a confirmation email",
    "admin": "An admin",
    "unsubscribe": "The unsubscribe page",
}
"""Labels of pages by the first part of their addresses."""


def label_source(source: str) -> tuple[str, str]:
    """The label of a source, and its address if it is a page; empty otherwise."""
    if source.startswith("import:"):
        return f"Import {source.removeprefix('import:')}", ""
    if source == ONE_CLICK_SOURCE:
        return "One click in the mail program", ""
    if not source.startswith("/"):
        return "The mail provider", ""
    return PAGE_LABELS.get(source.split("/")[1], "Another page"), source


def _label_sources(counts: dict[str, int], total: int) -> list[tuple[tuple[str, str], int]]:
    """The labelled sources with the highest counts, and the rest together as "Other sources"."""
    shown = list(counts.items())[:SOURCES_SHOWN]
    labelled = [(label_source(source), count) for source, count in shown]
    rest = total - sum(count for _, count in labelled)
    return [*labelled, (("Other sources", ""), rest)] if rest > 0 else labelled


COMPLAINT_SENTENCE = (
    "{share} of the mails delivered in the last 30 days were marked as spam: {events} of {mails}."
)
COMPLAINT_ADVICE = {
    RateLevel.GOOD: "Below {target} is good; Gmail and Yahoo require less than 0.1%.",
    RateLevel.HIGH: "The target is below {target}; NIF pauses a send at {maximum}, because Gmail "
    "and Yahoo require less. Check what was sent, and to which subscribers, before the next "
    "edition.",
    RateLevel.AT_LIMIT: "NIF pauses a send at {maximum}, because Gmail and Yahoo require less. At "
    "0.3% they reject mail; Gmail does so until the rate was lower for seven days in a row. Mail "
    "only subscribers who signed up recently.",
}
BOUNCE_SENTENCE = (
    "{share} of the mails of the last 30 days went to addresses that do not exist: {events} of "
    "{mails}."
)
BOUNCE_ADVICE = {
    RateLevel.GOOD: "Below {target} is good.",
    RateLevel.HIGH: "Lists of confirmed subscribers stay below {target}. Check the last import. "
    "NIF pauses a send at {maximum}.",
    RateLevel.AT_LIMIT: "NIF pauses a send at {maximum}: only unconfirmed lists bounce that much. "
    "Check the last import.",
}
LEVELS_BY_SEVERITY = list(RateLevel)


class RateAssessment(NamedTuple):
    """The level of a rate: class and text of its tag, and an explanation."""

    css_class: str
    label: str
    explanation: str


def assess_mail_health(
    month: MailHealth, week: MailHealth, sends: Sequence[MailHealth]
) -> Mapping[str, RateAssessment]:
    """The assessment of complaints and bounces: the worse of the last 30 and the last 7 days.

    Single sends above the target are mentioned.
    """
    words = {
        "complaints": (COMPLAINT_SENTENCE, COMPLAINT_ADVICE),
        "bounces": (BOUNCE_SENTENCE, BOUNCE_ADVICE),
    }
    every = (month, week, *sends)
    return {
        kind: _assess_rate(*words[kind], [getattr(health, kind) for health in every])
        for kind in words
    }


def _assess_rate(
    summary: str, advice: Mapping[RateLevel, str], rates: Sequence[EventRate]
) -> RateAssessment:
    month, week, *sends = rates
    if month.share is None:
        return RateAssessment("", RateLevel.UNKNOWN, _explain_too_few(month))
    level = max(month.level, week.level, key=LEVELS_BY_SEVERITY.index)
    above = [rate for rate in sends if rate.level.is_bad]
    sentences = [summary, advice[level]]
    if week.share is not None and week.level is not month.level:
        sentences.insert(1, f"In the last seven days it is {format_percent(week.share)}.")
    if above:
        which = "The last send" if len(sends) == 1 else f"{len(above)} of the last {len(sends)}"
        sentences.append(f"{which} was above the target.")
    explanation = " ".join(sentences).format(
        share=format_percent(month.share),
        events=format_number(month.events),
        mails=format_number(month.mails),
        target=format_percent(month.limits.target),
        maximum=format_percent(month.limits.maximum),
    )
    if above and not level.is_bad:
        return RateAssessment("bad", "Too high at times", explanation)
    return RateAssessment("bad" if level.is_bad else "good", level, explanation)


def _explain_too_few(rate: EventRate) -> str:
    if rate.mails == 0:
        return "Nothing was delivered in the last 30 days."
    return (
        f"{format_number(rate.events)} of {format_number(rate.mails)} in the last 30 days. A "
        f"rate is meaningful from {format_number(MIN_MAILS_FOR_RATE)} mails."
    )


CsvRows = Iterable[Sequence[object]]


@page_view(blueprint, Access.ADMIN, "/<name>.csv")
def download_csv(session: Session, name: str) -> ResponseReturnValue:
    if name not in CSV_FILES:
        raise NotFound("There is no such file.")
    report = read_report_filter(session, utc_now())
    headings, rows = CSV_FILES[name](session, report)
    covers = "" if name == "editions" else f"-{report.first}-{report.last}"
    return download_response(
        write_csv(headings, rows), f"{name}-{report.slug or 'all'}{covers}.csv"
    )


def _growth_rows(session: Session, report: ReportFilter) -> tuple[Sequence[str], CsvRows]:
    days = _days_with_month_before(session, report)[-report.period :]
    return ("day", "subscribers", *(metric.value for metric in ListMetric)), [
        (day.last, day.confirmed, *(day.total_of(metric) for metric in ListMetric)) for day in days
    ]


def _source_rows(session: Session, report: ReportFilter) -> tuple[Sequence[str], CsvRows]:
    return ("metric", "source", "label", "count"), [
        (metric.value, source, label_source(source)[0], count)
        for metric in (*ARRIVALS, ListMetric.UNSUBSCRIBED, ListMetric.REMOVED)
        for source, count in count_by_source(session, report.lists, [metric], report.first).items()
    ]


def _health_rows(session: Session, report: ReportFilter) -> tuple[Sequence[str], CsvRows]:
    headings = ("seven_days_to", "delivered", "bounced", "complained", "complaints", "bounces")
    rows = []
    past = _days_with_month_before(session, report)
    for day, health in rolling_mail_health(past, report.first):
        complaints, bounces = health.complaints, health.bounces
        shares = [
            None if rate.share is None else round(rate.share, 6) for rate in (complaints, bounces)
        ]
        rows.append((day, complaints.mails, bounces.events, complaints.events, *shares))
    return headings, rows


def _edition_rows(session: Session, report: ReportFilter) -> tuple[Sequence[str], CsvRows]:
    editions = list_send_statistics(session, report.lists, most=EDITIONS_EXPORTED, now=utc_now())
    headings = ("send", "list", "subject", "started_at", "state", "audience", "accepted")
    return (*headings, "unsubscribed", *EVENT_COLUMNS, *TRACKING_COLUMNS), [
        tuple(_edition_as_data(edition).values()) for edition in editions
    ]


CSV_FILES: dict[str, Callable[[Session, ReportFilter], tuple[Sequence[str], CsvRows]]] = {
    "growth": _growth_rows,
    "sources": _source_rows,
    "health": _health_rows,
    "editions": _edition_rows,
}


@page_view(blueprint, Access.ADMIN, "/analytics.json")
def download_json(session: Session) -> ResponseReturnValue:
    """Everything on the page as one JSON document."""
    now = utc_now()
    report = read_report_filter(session, now)
    past = _days_with_month_before(session, report)
    editions = list_send_statistics(session, report.lists, most=EDITIONS_EXPORTED, now=now)
    arrivals, unsubscribes = _count_sources(session, report, most=SOURCES_EXPORTED)
    month = mail_health_of_span(merge_periods(past[-MONTH_DAYS:]))
    return jsonify(
        lists=[mailing_list.slug for mailing_list in report.lists],
        first=str(report.first),
        last=str(report.last),
        subscribers=past[-1].confirmed,
        days=[
            {"day": str(period.last), "subscribers": period.confirmed, **period.counts}
            for period in past[-report.period :]
        ],
        sources=arrivals,
        unsubscribed_by=unsubscribes,
        last_30_days={"complaints": month.complaints.share, "bounces": month.bounces.share},
        editions=[_edition_as_data(edition) for edition in editions],
    )


def _edition_as_data(edition: SendStatistics) -> dict[str, object]:
    """A send as a row of the CSV and an object of the JSON."""
    return {
        "send": edition.send.id,
        "list": edition.list_title,
        "subject": edition.subject,
        "started_at": edition.send.starts_at.isoformat(timespec="seconds"),
        "state": edition.send.state.value,
        "audience": edition.send.audience,
        "accepted": edition.accepted,
        "unsubscribed": edition.unsubscribed,
        **{kind: edition.event_counts.get(kind, 0) for kind in (*EVENT_COLUMNS, *TRACKING_COLUMNS)},
    }
