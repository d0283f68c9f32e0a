"""Every address that appears in mail, built from the base URL and never from a request."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Links:
    base_url: str

    def home(self) -> str:
        return f"{self.base_url}/"

    def story(self, slug: str) -> str:
        return f"{self.base_url}/articles/{slug}"

    def edition(self, list_slug: str, day: date) -> str:
        return f"{self.base_url}/newsletters/{list_slug}/{day.isoformat()}"

    def confirm(self, token: str) -> str:
        return f"{self.base_url}/confirm/{token}"

    def preferences(self, token: str) -> str:
        return f"{self.base_url}/preferences/{token}"

    def unsubscribe(self, token: str) -> str:
        return f"{self.base_url}/unsubscribe/{token}"

    def reset_password(self, token: str) -> str:
        return f"{self.base_url}/reset/{token}"

    def invitation(self, token: str) -> str:
        return f"{self.base_url}/invitation/{token}"
