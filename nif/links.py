"""The addresses that leave the site in mail, feeds and sitemaps.

They are built from the base URL, never from a request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit


def _at(path: str) -> Callable[["Links", str], str]:
    """A method for the address of a path whose `{}` is a slug or a token."""

    def build_address(links: "Links", name: str) -> str:
        return links.path(path.format(name))

    return build_address


@dataclass(frozen=True)
class Links:
    base_url: str
    media_base_url: str = ""

    story = _at("/articles/{}")
    transparency_record = _at("/articles/{}/transparency.json")
    tag = _at("/tags/{}")
    tag_feed = _at("/tags/{}/feed.xml")
    invitation = _at("/invitation/{}")
    reset_password = _at("/reset/{}")
    confirm = _at("/confirm/{}")
    preferences = _at("/preferences/{}")
    address_change = _at("/preferences/{}/address")
    confirm_address = _at("/new-address/{}")
    unsubscribe = _at("/unsubscribe/{}")
    report_signup = _at("/report-signup/{}")
    repermission = _at("/stay/{}")

    def home(self) -> str:
        return f"{self.base_url}/"

    def policy(self, slug: str) -> str:
        """A policy's page. The manifesto is one, and has an address of its own."""
        return self.path("/manifesto" if slug == "manifesto" else f"/policies/{slug}")

    def path(self, path: str) -> str:
        """The address of a fixed path, such as `/feed.xml`."""
        return f"{self.base_url}{path}"

    def edition(self, list_slug: str, day: date) -> str:
        return f"{self.base_url}/newsletters/{list_slug}/{day.isoformat()}"

    def correction(self, list_slug: str, day: date, note_id: int) -> str:
        """The page of a correction edition."""
        return f"{self.edition(list_slug, day)}/correction-{note_id}"

    def ledger(self) -> str:
        return f"{self.base_url}/transparency/ledger"

    def picture(self, name: str) -> str:
        """A picture file: served by NIF, or by a CDN in front of it."""
        return f"{self.media_base_url or self.base_url + '/media'}/{name}"


def is_web_address(text: str) -> bool:
    """Is this an http or https address that a reader could open?"""
    if any(ch.isspace() for ch in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
