"""The figures as files that other programs read: a table each, or all as one document.

The figures: growth, sources, health, and each edition beside the last ones.
"""

from collections.abc import Iterable, Sequence
from datetime import date

from flask import Blueprint, jsonify, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.sends import reputation
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
from nif.web.admin import analytics_charts, analytics_labels, report_filter, system_status
from nif.web.admin.chart_layout import Chart, format_percent
from nif.web.current import reading
from nif.web.downloads import download_response

EDITIONS_EXPORTED = SOURCES_EXPORTED = 500
EVENT_COLUMNS = ("delivered", "deferred", "blocked", "bounce", "dropped", "spamreport")
TRACKING_COLUMNS = ("open", "machine_open", "click")


blueprint = Blueprint("admin_analytics", __name__, url_prefix="/admin/analytics")
blueprint.context_processor(system_status.status_banner)
blueprint.add_app_template_filter(format_percent, "percent")


@blueprint.get("/growth.csv")
@open_to(Access.ADMIN)
def download_growth() -> ResponseReturnValue:
    with reading() as session:
        seen = report_filter.read_report_filter(session, utc_now())
        shown = report_filter.load_days_with_month_before(session, seen)[-seen.period :]
    headings = ("day", "subscribers", *(what.value for what in ListMetric))
    rows = [
        (one.last, one.confirmed, *(one.total_of(what) for what in ListMetric)) for one in shown
    ]
    return _csv_file(headings, rows, f"growth-{seen.name}")


@blueprint.get("/sources.csv")
@open_to(Access.ADMIN)
def download_sources() -> ResponseReturnValue:
    with reading() as session:
        seen = report_filter.read_report_filter(session, utc_now())
        rows = [
            (what.value, source, analytics_labels.label_source(source).words, count)
            for what in (*ARRIVALS, ListMetric.UNSUBSCRIBED, ListMetric.REMOVED)
            for source, count in count_by_source(session, seen.lists, [what], seen.first).items()
        ]
    return _csv_file(("what", "source", "in_words", "count"), rows, f"sources-{seen.name}")


@blueprint.get("/health.csv")
@open_to(Access.ADMIN)
def download_health() -> ResponseReturnValue:
    with reading() as session:
        seen = report_filter.read_report_filter(session, utc_now())
        found = rolling_rates(report_filter.load_days_with_month_before(session, seen), seen.first)
    headings = ("seven_days_to", "delivered", "bounced", "complained", "complaints", "bounces")
    return _csv_file(
        headings, [(day, *_rate_cells(one)) for day, one in found], f"health-{seen.name}"
    )


@blueprint.get("/editions.csv")
@open_to(Access.ADMIN)
def download_editions() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        seen = report_filter.read_report_filter(session, now)
        compared = list_send_statistics(session, seen.lists, most=EDITIONS_EXPORTED, now=now)
    headings = ("send", "list", "subject", "began", "state", "audience", "mailed", "left")
    rows = [tuple(_edition_as_data(one).values()) for one in compared]
    return _csv_file(
        (*headings, *EVENT_COLUMNS, *TRACKING_COLUMNS), rows, f"editions-{seen.slug or 'all'}"
    )


@blueprint.get("/analytics.json")
@open_to(Access.ADMIN)
def download_json() -> ResponseReturnValue:
    """All of the page as one document."""
    now = utc_now()
    with reading() as session:
        seen = report_filter.read_report_filter(session, now)
        past = report_filter.load_days_with_month_before(session, seen)
        compared = list_send_statistics(session, seen.lists, most=EDITIONS_EXPORTED, now=now)
        came = count_by_source(session, seen.lists, ARRIVALS, seen.first, most=SOURCES_EXPORTED)
        went = count_by_source(session, seen.lists, [ListMetric.UNSUBSCRIBED], seen.first)
    month = report_filter.rates_of_last_month(past)
    return jsonify(
        lists=[one.slug for one in seen.lists],
        first=str(seen.first),
        last=str(seen.last),
        subscribers=past[-1].confirmed,
        days=[
            {"day": str(one.last), "subscribers": one.confirmed, **one.counts}
            for one in past[-seen.period :]
        ],
        came_from=came,
        left_by=went,
        last_30_days={"complaints": month.complaints.share, "bounces": month.bounces.share},
        editions=[_edition_as_data(one) for one in compared],
    )


def _rate_cells(found: ReputationRates) -> tuple[object, ...]:
    complained, bounced = found.complaints, found.bounces
    shares = [None if one is None else round(one, 6) for one in (complained.share, bounced.share)]
    return complained.mails, bounced.events, complained.events, *shares


def _edition_as_data(one: SendStatistics) -> dict[str, object]:
    """A send as files say it."""
    return {
        "send": one.send_id,
        "list": one.list_title,
        "subject": one.subject,
        "began": one.starts_at.isoformat(timespec="seconds"),
        "state": one.state.value,
        "audience": one.audience,
        "mailed": one.accepted,
        "left": one.unsubscribed,
        **{kind: one.event_counts.get(kind, 0) for kind in (*EVENT_COLUMNS, *TRACKING_COLUMNS)},
    }


def _csv_file(
    headings: Sequence[str], rows: Iterable[Sequence[object]], name: str
) -> ResponseReturnValue:
    return download_response(write_csv(headings, rows), f"{name}.csv")


WEEKLY_FROM_DAYS = 200
EDITIONS_SHOWN = 12
SOURCES_SHOWN = 10


@blueprint.get("")
@open_to(Access.ADMIN)
def show() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        seen = report_filter.read_report_filter(session, now)
        if not seen.every:
            return render_template("admin/analytics/show.html", sight=None)
        past = report_filter.load_days_with_month_before(session, seen)
        compared = list_send_statistics(session, seen.lists, most=EDITIONS_SHOWN, now=now)
        came = count_by_source(session, seen.lists, ARRIVALS, seen.first, most=SOURCES_SHOWN)
        went = count_by_source(session, seen.lists, [ListMetric.UNSUBSCRIBED], seen.first)
    shown, step = past[-seen.period :], 7 if seen.period > WEEKLY_FROM_DAYS else 1
    whole, spans = merge_periods(shown), group_periods(step, shown)
    rolling = reputation.rolling_rates(past, seen.first)[::-step][::-1]
    week, sends = rolling[-1][1], [one.rates for one in compared]
    return render_template(
        "admin/analytics/show.html",
        sight=seen,
        periods=report_filter.PERIOD_LABELS,
        whole=whole,
        before=past[-seen.period - 1].confirmed,
        spans=spans,
        when=analytics_charts.describe_period,
        came=_label_sources(came, whole.arrivals),
        went=_label_sources(went, whole.total_of(ListMetric.UNSUBSCRIBED)),
        one_click=went.get(ONE_CLICK_SOURCE, 0),
        verdicts=analytics_labels.assess_rates(
            report_filter.rates_of_last_month(past), week, sends
        ),
        rolling=rolling,
        limits={"complaints": COMPLAINT_THRESHOLDS, "bounces": BOUNCE_THRESHOLDS},
        compared=compared,
        tracked=any(one.is_tracked for one in compared),
        drawn=_draw_charts(spans, rolling, compared),
    )


def _draw_charts(
    spans: Sequence[GrowthPeriod],
    rolling: Sequence[tuple[date, ReputationRates]],
    compared: Sequence[SendStatistics],
) -> dict[str, Chart]:
    """The charts of which there is anything to see."""
    drawn: dict[str, Chart] = {}
    if any(one.confirmed for one in spans):
        drawn["audience"] = analytics_charts.draw_audience(spans)
    if any(one.arrivals or one.departures or one.unreachable for one in spans):
        drawn["traffic"] = analytics_charts.draw_traffic(spans)
    if any(found.complaints.share is not None for _, found in rolling):
        complaints = [(day, found.complaints) for day, found in rolling]
        sends = [(one, one.rates.complaints) for one in compared]
        drawn["complaints"] = analytics_charts.draw_rates(
            "complaints", complaints, sends, COMPLAINT_THRESHOLDS
        )
    if any(found.bounces.share is not None for _, found in rolling):
        bounces = [(day, found.bounces) for day, found in rolling]
        sends = [(one, one.rates.bounces) for one in compared]
        drawn["bounces"] = analytics_charts.draw_rates("bounces", bounces, sends, BOUNCE_THRESHOLDS)
    return drawn


def _label_sources(
    counts: dict[str, int], whole: int
) -> list[tuple[analytics_labels.SourceLabel, int]]:
    """The sources in words, the most first; all others together."""
    shown = list(counts.items())[:SOURCES_SHOWN]
    told = [(analytics_labels.label_source(source), count) for source, count in shown]
    rest = whole - sum(count for _, count in told)
    return [*told, (analytics_labels.SourceLabel("Elsewhere"), rest)] if rest > 0 else told
