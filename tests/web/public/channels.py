"""Readers of each channel for tests: feeds, JSON-LD and pages, taken apart."""

import json
import re
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from flask.testing import FlaskClient

ATOM = "{http://www.w3.org/2005/Atom}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
MAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
NEWS = "{http://www.google.com/schemas/sitemap-news/0.9}"
FEEDS = ("/feed.xml", "/feed.atom", "/feed.json")


def fetched(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert (path, answer.status_code) == (path, 200)
    return answer.text


def tree(client: FlaskClient, path: str) -> Element:
    return ET.fromstring(fetched(client, path))


def rss_items(client: FlaskClient, path: str = "/feed.xml") -> list[Element]:
    return tree(client, path).findall("channel/item")


def atom_entries(client: FlaskClient) -> list[Element]:
    return tree(client, "/feed.atom").findall(f"{ATOM}entry")


def json_items(client: FlaskClient) -> list[dict[str, Any]]:
    return json.loads(fetched(client, "/feed.json"))["items"]


def addresses(client: FlaskClient, path: str) -> list[str]:
    """Every `loc` of a sitemap, or of an index of them."""
    return [loc.text or "" for loc in tree(client, path).iter(f"{MAP}loc")]


def structured(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/ld\+json">(.+?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def words(html: str) -> str:
    """What a person reads of HTML: no tags, one space between words."""
    text = re.sub(r"<(script|style|head)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return flat(unescape(re.sub(r"<[^>]+>", "", text)))


def flat(text: str) -> str:
    """`text` with straight apostrophes and one space wherever there are several, or lines end."""
    return " ".join(text.replace("’", "'").replace("‘", "'").split())
