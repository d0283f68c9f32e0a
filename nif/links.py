"""The addresses that leave the site in mail, feeds and sitemaps.

They are built from the base URL, never from a request.
"""

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Links:
    base_url: str
    media_base_url: str = ""

    def home(self) -> str:
        return f"{self.base_url}/"

    def story(self, slug: str) -> str:
        return f"{self.base_url}/articles/{slug}"

    def transparency_record(self, slug: str) -> str:
        return f"{self.base_url}/articles/{slug}/transparency.json"

    def tag(self, slug: str) -> str:
        return f"{self.base_url}/tags/{slug}"

    def tag_feed(self, slug: str) -> str:
        return f"{self.base_url}/tags/{slug}/feed.xml"

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

    def confirm(self, token: str) -> str:
        return f"{self.base_url}/confirm/{token}"

    def preferences(self, token: str) -> str:
        return f"{self.base_url}/preferences/{token}"

    def address_change(self, token: str) -> str:
        return f"{self.base_url}/preferences/{token}/address"

    def confirm_address(self, token: str) -> str:
        return f"{self.base_url}/new-address/{token}"

    def unsubscribe(self, token: str) -> str:
        return f"{self.base_url}/unsubscribe/{token}"

    def report_signup(self, token: str) -> str:
        return f"{self.base_url}/report-signup/{token}"

    def repermission(self, token: str) -> str:
        return f"{self.base_url}/stay/{token}"

    def reset_password(self, token: str) -> str:
        return f"{self.base_url}/reset/{token}"

    def invitation(self, token: str) -> str:
        return f"{self.base_url}/invitation/{token}"


def is_web_address(text: str) -> bool:
    """Is this an http or https address that a reader could open?"""
    if any(ch.isspace() for ch in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
