"""Bodies of mail as NIF posts them, for the stand-in's own tests and its benchmark."""

from __future__ import annotations

from typing import Any

POSTAL_ADDRESS = "New Industry Focus, 12 Canal Street, 1016 AB Amsterdam"
LEAVE = "%nif.unsubscribe%"
TEXT = f"Hello %nif.name%,\n\nthe news.\n\nLeave: {LEAVE}\n{POSTAL_ADDRESS}\n"
HTML = (
    '<!doctype html><html lang="en"><body><div class="preheader">The news</div>'
    f'<p>Hello %nif.name%</p>{{filler}}<a href="{LEAVE}">Leave</a><p>{POSTAL_ADDRESS}</p>'
    "</body></html>"
)
TRACKING_OFF = {
    "click_tracking": {"enable": False, "enable_text": False},
    "open_tracking": {"enable": False},
    "subscription_tracking": {"enable": False},
    "ganalytics": {"enable": False},
}


def reader(delivery: int, email: str | None = None, edition: int = 1) -> dict[str, Any]:
    """One personalization of an edition."""
    link = f"http://127.0.0.1:8000/unsubscribe/{delivery:032x}"
    return {
        "to": [{"email": email or f"reader{delivery}@example.com"}],
        "headers": {
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        "substitutions": {LEAVE: link, "%nif.name%": f"Reader {delivery}"},
        "custom_args": {"nif_d": str(delivery), "nif_e": str(edition)},
    }


def mail(*readers: dict[str, Any], filler: str = "", **changes: Any) -> dict[str, Any]:
    """A body with the given personalizations, or with one; `changes` replace its keys."""
    return {
        "personalizations": list(readers or [reader(1)]),
        "from": {"email": "news@example.com", "name": "New Industry Focus"},
        "subject": "News for %nif.name%",
        "content": [
            {"type": "text/plain", "value": TEXT},
            {"type": "text/html", "value": HTML.format(filler=filler)},
        ],
        "headers": {"List-Id": "<weekly.example.com>"},
        "custom_args": {"nif_a": "0a" * 16},
        "tracking_settings": TRACKING_OFF,
        **changes,
    }
