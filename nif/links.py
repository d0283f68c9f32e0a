"""Every address that leaves the house, in mail, in feeds, in sitemaps.

They are built from the base URL, and never from a request.
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

    def record(self, slug: str) -> str:
        return f"{self.base_url}/articles/{slug}/transparency.json"

    def tag(self, slug: str) -> str:
        return f"{self.base_url}/tags/{slug}"

    def tag_feed(self, slug: str) -> str:
        return f"{self.base_url}/tags/{slug}/feed.xml"

    def policy(self, slug: str) -> str:
        """The manifesto has an address of its own."""
        return self.page("/manifesto" if slug == "manifesto" else f"/policies/{slug}")

    def page(self, path: str) -> str:
        """A page that is always there, such as `/feed.xml`."""
        return f"{self.base_url}{path}"

    def edition(self, list_slug: str, day: date) -> str:
        return f"{self.base_url}/newsletters/{list_slug}/{day.isoformat()}"

    def correction(self, list_slug: str, day: date, note_id: int) -> str:
        """The edition that set one thing right."""
        return f"{self.edition(list_slug, day)}/correction-{note_id}"

    def ledger(self) -> str:
        return f"{self.base_url}/transparency/ledger"

    def picture(self, name: str) -> str:
        """A file of a picture: NIF's own, or where a network of caches stands before them."""
        return f"{self.media_base_url or self.base_url + '/media'}/{name}"

    def confirm(self, token: str) -> str:
        return f"{self.base_url}/confirm/{token}"

    def preferences(self, token: str) -> str:
        return f"{self.base_url}/preferences/{token}"

    def change_of_address(self, token: str) -> str:
        return f"{self.base_url}/preferences/{token}/address"

    def new_address(self, token: str) -> str:
        return f"{self.base_url}/new-address/{token}"

    def unsubscribe(self, token: str) -> str:
        return f"{self.base_url}/unsubscribe/{token}"

    def not_me(self, token: str) -> str:
        return f"{self.base_url}/not-me/{token}"

    def stay(self, token: str) -> str:
        return f"{self.base_url}/stay/{token}"

    def reset_password(self, token: str) -> str:
        return f"{self.base_url}/reset/{token}"

    def invitation(self, token: str) -> str:
        return f"{self.base_url}/invitation/{token}"


def is_web_address(text: str) -> bool:
    """Is this an address on the web that a reader could open?"""
    if any(ch.isspace() for ch in text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False
