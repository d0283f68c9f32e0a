"""Analytics: growth, sources, deliverability and a comparison of editions; also as CSV and JSON."""

from collections.abc import Iterable, Sequence
from datetime import date

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.sends.reports import SendStatistics, list_send_statistics
from nif.sends.reputation import (
    BOUNCE_THRESHOLDS,
    COMPLAINT_THRESHOLDS,
    ReputationRates,
    rolling_rates,
)
from nif.spreadsheets import write_csv
from nif.subscriptions.models import ListMetric
from nif.subscriptions.statistics import (
    ARRIVALS,
    GrowthPeriod,
    count_by_source,
    group_periods,
    merge_periods,
)
from nif.subscriptions.unsubscribe import ONE_CLICK_SOURCE
from nif.web.access import Access, open_to
from nif.web.admin import analytics_charts, analytics_labels, system_status
from nif.web.admin.chart_layout import Chart, format_percent
from nif.web.admin.report_filter import (
    PERIOD_LABELS,
    load_days_with_month_before,
    rates_of_last_month,
    read_report_filter,
)
from nif.web.current import reading
from nif.web.files import download_response

WEEKLY_FROM_DAYS = 200
EDITIONS_SHOWN = 12
SOURCES_SHOWN = 10
EDITIONS_EXPORTED = SOURCES_EXPORTED = 500
EVENT_COLUMNS = ("delivered", "deferred", "blocked", "bounce", "dropped", "spamreport")
TRACKING_COLUMNS = ("open", "machine_open", "click")

blueprint = Blueprint("admin_analytics", __name__, url_prefix="/admin/analytics")
blueprint.context_processor(system_status.status_banner)
blueprint.add_app_template_filter(format_percent, "percent")


@blueprint.get("")
@open_to(Access.ADMIN)
def show() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        report = read_report_filter(session, now)
        if not report.all_lists:
            return render_template("admin/analytics/show.html", report=None)
        past = load_days_with_month_before(session, report)
        editions = list_send_statistics(session, report.lists, most=EDITIONS_SHOWN, now=now)
        arrival_sources = count_by_source(
            session, report.lists, ARRIVALS, report.first, most=SOURCES_SHOWN
        )
        unsubscribe_sources = count_by_source(
            session, report.lists, [ListMetric.UNSUBSCRIBED], report.first
        )
    shown, step = past[-report.period :], 7 if report.period > WEEKLY_FROM_DAYS else 1
    total, periods = merge_periods(shown), group_periods(step, shown)
    rolling = rolling_rates(past, report.first)[::-step][::-1]
    week, sends = rolling[-1][1], [edition.rates for edition in editions]
    return render_template(
        "admin/analytics/show.html",
        report=report,
        period_labels=PERIOD_LABELS,
        total=total,
        count_before=past[-report.period - 1].confirmed,
        periods=periods,
        describe_period=analytics_charts.describe_period,
        arrival_sources=_label_sources(arrival_sources, total.arrivals),
        unsubscribe_sources=_label_sources(
            unsubscribe_sources, total.total_of(ListMetric.UNSUBSCRIBED)
        ),
        one_click_count=unsubscribe_sources.get(ONE_CLICK_SOURCE, 0),
        assessments=analytics_labels.assess_rates(rates_of_last_month(past), week, sends),
        rolling=rolling,
        thresholds={"complaints": COMPLAINT_THRESHOLDS, "bounces": BOUNCE_THRESHOLDS},
        editions=editions,
        is_tracked=any(edition.is_tracked for edition in editions),
        charts=_draw_charts(periods, rolling, editions),
    )


def _draw_charts(
    periods: Sequence[GrowthPeriod],
    rolling: Sequence[tuple[date, ReputationRates]],
    editions: Sequence[SendStatistics],
) -> dict[str, Chart]:
    """The charts that have something to show, by name."""
    charts: dict[str, Chart] = {}
    if any(period.confirmed for period in periods):
        charts["audience"] = analytics_charts.draw_audience(periods)
    if any(period.arrivals or period.departures or period.unreachable for period in periods):
        charts["traffic"] = analytics_charts.draw_traffic(periods)
    if any(found.complaints.share is not None for _, found in rolling):
        complaints = [(day, found.complaints) for day, found in rolling]
        sends = [(edition, edition.rates.complaints) for edition in editions]
        charts["complaints"] = analytics_charts.draw_rates(
            "complaints", complaints, sends, COMPLAINT_THRESHOLDS
        )
    if any(found.bounces.share is not None for _, found in rolling):
        bounces = [(day, found.bounces) for day, found in rolling]
        sends = [(edition, edition.rates.bounces) for edition in editions]
        charts["bounces"] = analytics_charts.draw_rates(
            "bounces", bounces, sends, BOUNCE_THRESHOLDS
        )
    return charts


def _label_sources(
    counts: dict[str, int], total: int
) -> list[tuple[analytics_labels.SourceLabel, int]]:
    """The labelled sources with the highest counts, and the rest together as "Other sources"."""
    shown = list(counts.items())[:SOURCES_SHOWN]
    labelled = [(analytics_labels.label_source(source), count) for source, count in shown]
    rest = total - sum(count for _, count in labelled)
    return (
        [*labelled, (analytics_labels.SourceLabel("Other sources"), rest)] if rest > 0 else labelled
    )


@blueprint.get("/growth.csv")
@open_to(Access.ADMIN)
def download_growth() -> ResponseReturnValue:
    with reading() as session:
        report = read_report_filter(session, utc_now())
        shown = load_days_with_month_before(session, report)[-report.period :]
    headings = ("day", "subscribers", *(metric.value for metric in ListMetric))
    rows = [
        (period.last, period.confirmed, *(period.total_of(metric) for metric in ListMetric))
        for period in shown
    ]
    return _csv_file(headings, rows, f"growth-{report.file_name}")


@blueprint.get("/sources.csv")
@open_to(Access.ADMIN)
def download_sources() -> ResponseReturnValue:
    with reading() as session:
        report = read_report_filter(session, utc_now())
        rows = [
            (metric.value, source, analytics_labels.label_source(source).text, count)
            for metric in (*ARRIVALS, ListMetric.UNSUBSCRIBED, ListMetric.REMOVED)
            for source, count in count_by_source(
                session, report.lists, [metric], report.first
            ).items()
        ]
    return _csv_file(("metric", "source", "label", "count"), rows, f"sources-{report.file_name}")


@blueprint.get("/health.csv")
@open_to(Access.ADMIN)
def download_health() -> ResponseReturnValue:
    with reading() as session:
        report = read_report_filter(session, utc_now())
        rolling = rolling_rates(load_days_with_month_before(session, report), report.first)
    headings = ("seven_days_to", "delivered", "bounced", "complained", "complaints", "bounces")
    return _csv_file(
        headings,
        [(day, *_rate_cells(rates)) for day, rates in rolling],
        f"health-{report.file_name}",
    )


@blueprint.get("/editions.csv")
@open_to(Access.ADMIN)
def download_editions() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        report = read_report_filter(session, now)
        editions = list_send_statistics(session, report.lists, most=EDITIONS_EXPORTED, now=now)
    headings = (
        "send",
        "list",
        "subject",
        "started_at",
        "state",
        "audience",
        "accepted",
        "unsubscribed",
    )
    rows = [tuple(_edition_as_data(edition).values()) for edition in editions]
    return _csv_file(
        (*headings, *EVENT_COLUMNS, *TRACKING_COLUMNS), rows, f"editions-{report.slug or 'all'}"
    )


@blueprint.get("/analytics.json")
@open_to(Access.ADMIN)
def download_json() -> ResponseReturnValue:
    """Everything on the page as period JSON document."""
    now = utc_now()
    with reading() as session:
        report = read_report_filter(session, now)
        past = load_days_with_month_before(session, report)
        editions = list_send_statistics(session, report.lists, most=EDITIONS_EXPORTED, now=now)
        arrival_sources = count_by_source(
            session, report.lists, ARRIVALS, report.first, most=SOURCES_EXPORTED
        )
        unsubscribe_sources = count_by_source(
            session, report.lists, [ListMetric.UNSUBSCRIBED], report.first
        )
    month = rates_of_last_month(past)
    return jsonify(
        lists=[mailing_list.slug for mailing_list in report.lists],
        first=str(report.first),
        last=str(report.last),
        subscribers=past[-1].confirmed,
        days=[
            {"day": str(period.last), "subscribers": period.confirmed, **period.counts}
            for period in past[-report.period :]
        ],
        sources=arrival_sources,
        unsubscribed_by=unsubscribe_sources,
        last_30_days={"complaints": month.complaints.share, "bounces": month.bounces.share},
        editions=[_edition_as_data(edition) for edition in editions],
    )


def _rate_cells(rates: ReputationRates) -> tuple[object, ...]:
    complaints, bounces = rates.complaints, rates.bounces
    shares = [
        None if share is None else round(share, 6) for share in (complaints.share, bounces.share)
    ]
    return complaints.mails, bounces.events, complaints.events, *shares


def _edition_as_data(edition: SendStatistics) -> dict[str, object]:
    """A send as a row of the CSV and an object of the JSON."""
    return {
        "send": edition.send_id,
        "list": edition.list_title,
        "subject": edition.subject,
        "started_at": edition.starts_at.isoformat(timespec="seconds"),
        "state": edition.state.value,
        "audience": edition.audience,
        "accepted": edition.accepted,
        "unsubscribed": edition.unsubscribed,
        **{kind: edition.event_counts.get(kind, 0) for kind in (*EVENT_COLUMNS, *TRACKING_COLUMNS)},
    }


def _csv_file(
    headings: Sequence[str], rows: Iterable[Sequence[object]], name: str
) -> ResponseReturnValue:
    return download_response(write_csv(headings, rows), f"{name}.csv")
