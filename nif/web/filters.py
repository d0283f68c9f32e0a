"""Filters and globals for the templates of all pages."""

from calendar import day_name
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Flask

from nif.editions.schedule import parse_schedule
from nif.settings import Settings
from nif.stories import text
from nif.subscriptions.consent import wording_of_subscription
from nif.subscriptions.models import MailingList
from nif.typography import link_names, typeset

STATIC_FOLDER = Path(__file__).parent / "static"


def register_filters(app: Flask, settings: Settings) -> None:
    """Add the filters and globals to the app's templates."""
    zone = ZoneInfo(settings.time_zone)

    def day(moment: datetime) -> str:
        local = moment.astimezone(zone)
        return f"{local.day} {local:%B %Y}"

    def minute(moment: datetime) -> str:
        local = moment.astimezone(zone)
        return f"{local.day} {local:%b %Y, %H:%M %Z}"

    app.jinja_env.filters.update(
        typeset=typeset,
        inline=text.render_inline_html,
        plain=text.strip_markup,
        day=day,
        minute=minute,
        linked=link_names,
        number=format_number,
        iso=format_timestamp,
        when_due=describe_schedule,
        calendar_day=lambda day: f"{day.day} {day:%B %Y}",
        local=format_local_datetime,
    )
    versions = {path.name: str(int(path.stat().st_mtime)) for path in STATIC_FOLDER.glob("*.*")}
    # A script imports others with its own version, so all scripts share the newest one.
    scripts = [name for name in versions if name.endswith(".js")]
    versions |= dict.fromkeys(scripts, max(versions[name] for name in scripts))
    app.jinja_env.globals.update(
        site=settings,
        wording=lambda newsletter: wording_of_subscription(settings.site_name, newsletter),
        media=lambda name: f"{settings.media_base_url or '/media'}/{name}",
        asset=lambda name: f"/static/{name}?v={versions.get(name, '0')}",
    )


def describe_schedule(mailing_list: MailingList) -> str:
    """A list's schedule in words."""
    schedule = parse_schedule(mailing_list.schedule)
    days = "Every day" if schedule.weekday is None else f"Every {day_name[schedule.weekday]}"
    return f"{days} at {schedule.at:%H:%M}, {mailing_list.zone.replace('_', ' ')} time"


def format_local_datetime(moment: datetime, zone: str) -> str:
    """A moment in a list's time zone: "Friday 27 November, 08:00"."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%A} {local.day} {local:%B, %H:%M}"


def format_timestamp(moment: datetime) -> str:
    """RFC 3339, to the second."""
    return moment.isoformat(timespec="seconds")


def format_number(count: int) -> str:
    """12345 as 12,345."""
    return f"{count:,}"
