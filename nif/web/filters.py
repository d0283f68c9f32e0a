"""What templates can say."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from markupsafe import Markup, escape

from nif.settings import Settings
from nif.typography import typeset

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
        typeset=typeset, day=day, minute=minute, linked=linked, number=number, iso=iso
    )
    versions = {path.name: str(int(path.stat().st_mtime)) for path in STATIC.glob("*.*")}
    app.jinja_env.globals.update(
        house=settings, asset=lambda name: f"/static/{name}?v={versions.get(name, '0')}"
    )


def iso(moment: datetime) -> str:
    """RFC 3339, to the second."""
    return moment.isoformat(timespec="seconds")


def number(count: int) -> str:
    """12345 as 12,345."""
    return f"{count:,}"


def linked(sentence: dict[str, Any]) -> Markup:
    """A sentence of a transparency block, with its names linked to their addresses."""
    html = escape(typeset(sentence["text"]))
    for words, address in sentence["links"]:
        name = escape(typeset(words))
        html = html.replace(name, Markup('<a href="{}">{}</a>').format(address, name), 1)
    return html
