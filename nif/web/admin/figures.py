"""The figures: growth, sources, health, and each edition beside the last ones."""

from collections.abc import Sequence
from datetime import date

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from nif.clock import utc_now
from nif.sends import rating
from nif.sends.comparing import Compared, compare
from nif.sends.rating import BOUNCES, COMPLAINTS, Rates
from nif.subscriptions.days import Happening
from nif.subscriptions.growing import CAME, Span, by, sources, together
from nif.subscriptions.leaving import BY_ONE_CLICK
from nif.web.access import Access, open_to
from nif.web.admin import charts, figure_files, figure_words, house, sight
from nif.web.admin.charting import Chart, percent
from nif.web.current import reading

blueprint = Blueprint("admin_figures", __name__, url_prefix="/admin/figures")
blueprint.context_processor(house.banner)
blueprint.register_blueprint(figure_files.blueprint)
blueprint.add_app_template_filter(percent)

BY_WEEK_FROM = 200
EDITIONS_SHOWN = 12
SOURCES_SHOWN = 10


@blueprint.get("")
@open_to(Access.ADMIN)
def page() -> ResponseReturnValue:
    now = utc_now()
    with reading() as session:
        seen = sight.read(session, now)
        if not seen.every:
            return render_template("admin/figures/page.html", sight=None)
        past = sight.past(session, seen)
        compared = compare(session, seen.lists, most=EDITIONS_SHOWN, now=now)
        came = sources(session, seen.lists, CAME, seen.first, most=SOURCES_SHOWN)
        went = sources(session, seen.lists, [Happening.LEFT], seen.first)
    shown, step = past[-seen.period :], 7 if seen.period > BY_WEEK_FROM else 1
    whole, spans = together(shown), by(step, shown)
    rolling = rating.rolling(past, seen.first)[::-step][::-1]
    week, sends = rolling[-1][1], [one.rates for one in compared]
    return render_template(
        "admin/figures/page.html",
        sight=seen,
        periods=sight.PERIODS,
        whole=whole,
        before=past[-seen.period - 1].confirmed,
        spans=spans,
        when=charts.when,
        came=_told(came, whole.came),
        went=_told(went, whole.of(Happening.LEFT)),
        one_click=went.get(BY_ONE_CLICK, 0),
        verdicts=figure_words.verdicts(sight.last_month(past), week, sends),
        rolling=rolling,
        limits={"complaints": COMPLAINTS, "bounces": BOUNCES},
        compared=compared,
        tracked=any(one.is_tracked for one in compared),
        drawn=_drawn(spans, rolling, compared),
    )


def _drawn(
    spans: Sequence[Span], rolling: Sequence[tuple[date, Rates]], compared: Sequence[Compared]
) -> dict[str, Chart]:
    """The charts of which there is anything to see."""
    drawn: dict[str, Chart] = {}
    if any(one.confirmed for one in spans):
        drawn["audience"] = charts.audience(spans)
    if any(one.came or one.went or one.out_of_reach for one in spans):
        drawn["traffic"] = charts.traffic(spans)
    if any(found.complaints.share is not None for _, found in rolling):
        complaints = [(day, found.complaints) for day, found in rolling]
        sends = [(one, one.rates.complaints) for one in compared]
        drawn["complaints"] = charts.rates("complaints", complaints, sends, COMPLAINTS)
    if any(found.bounces.share is not None for _, found in rolling):
        bounces = [(day, found.bounces) for day, found in rolling]
        sends = [(one, one.rates.bounces) for one in compared]
        drawn["bounces"] = charts.rates("bounces", bounces, sends, BOUNCES)
    return drawn


def _told(counts: dict[str, int], whole: int) -> list[tuple[figure_words.Source, int]]:
    """The sources in words, the most first; all others together."""
    shown = list(counts.items())[:SOURCES_SHOWN]
    told = [(figure_words.source(source), count) for source, count in shown]
    rest = whole - sum(count for _, count in told)
    return [*told, (figure_words.Source("Elsewhere"), rest)] if rest > 0 else told
