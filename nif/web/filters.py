"""What templates can say."""

from calendar import day_name
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import Flask

from nif.editions.scheduling import read_schedule
from nif.settings import Settings
from nif.stories import markup
from nif.subscriptions.consenting import wording
from nif.subscriptions.models import MailingList
from nif.typography import linked, typeset

STATIC = Path(__file__).parent / "static"


def register_filters(app: Flask, settings: Settings) -> None:
    """Filters and globals, the same for all faces."""
    zone = ZoneInfo(settings.time_zone)

    def day(moment: datetime) -> str:
        local = moment.astimezone(zone)
        return f"{local.day} {local:%B %Y}"

    def minute(moment: datetime) -> str:
        local = moment.astimezone(zone)
        return f"{local.day} {local:%b %Y, %H:%M %Z}"

    app.jinja_env.filters.update(
        typeset=typeset,
        inline=markup.html,
        plain=markup.plain,
        day=day,
        minute=minute,
        linked=linked,
        number=number,
        iso=iso,
        when_due=when_due,
        calendar_day=calendar_day,
        local=local_moment,
    )
    versions = {path.name: str(int(path.stat().st_mtime)) for path in STATIC.glob("*.*")}
    # Scripts ask for their parts with their own version: they all have the newest one's.
    scripts = [name for name in versions if name.endswith(".js")]
    versions |= dict.fromkeys(scripts, max(versions[name] for name in scripts))
    app.jinja_env.globals.update(
        house=settings,
        wording=lambda newsletter: wording(settings.site_name, newsletter),
        media=lambda name: f"{settings.media_base_url or '/media'}/{name}",
        asset=lambda name: f"/static/{name}?v={versions.get(name, '0')}",
    )


def when_due(mailing_list: MailingList) -> str:
    """A list's schedule in words."""
    schedule = read_schedule(mailing_list.schedule)
    days = "Every day" if schedule.weekday is None else f"Every {day_name[schedule.weekday]}"
    return f"{days} at {schedule.at:%H:%M}, {mailing_list.zone.replace('_', ' ')} time"


def local_moment(moment: datetime, zone: str) -> str:
    """A moment on a list's own clock: "Friday 27 November, 08:00"."""
    local = moment.astimezone(ZoneInfo(zone))
    return f"{local:%A} {local.day} {local:%B, %H:%M}"


def calendar_day(day: date) -> str:
    """A date that is the same in every zone: "22 November 2026"."""
    return f"{day.day} {day:%B %Y}"


def iso(moment: datetime) -> str:
    """RFC 3339, to the second."""
    return moment.isoformat(timespec="seconds")


def number(count: int) -> str:
    """12345 as 12,345."""
    return f"{count:,}"
