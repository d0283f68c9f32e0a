"""What acts between a mail and its subscriber: scanners open links, providers unsubscribe."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import urllib3

from tests.standin.rendering import https_uris

BOUNDARY = "standin"
ONE_CLICK = "List-Unsubscribe=One-Click"


class Visit(NamedTuple):
    method: str
    url: str
    status: int
    headers: Mapping[str, str]


def links(mail: dict[str, Any]) -> list[str]:
    """Every web address in headers, text and html of a mail from Standin.mails(), once each."""
    hrefs = re.findall(r"href=[\"'](https?://[^\"']+)", mail["html"])
    found = [
        *https_uris(mail["headers"].get("List-Unsubscribe", "")),
        *re.findall(r"https?://[^\s<>\"')\]]+", mail["text"]),
        *map(html.unescape, hrefs),
    ]
    return list(dict.fromkeys(found))


def scan(mail: dict[str, Any], only: str = "http://127.0.0.1") -> list[Visit]:
    """HEAD and GET every link that begins with `only`, without cookies or redirects."""
    return [
        _visit(method, url)
        for url in links(mail)
        if url.startswith(only)
        for method in ("HEAD", "GET")
    ]


def one_click(mail: dict[str, Any], multipart: bool = False) -> Visit:
    """Unsubscribe as a mail provider does (RFC 8058): a POST, no cookies, no redirects."""
    (url,) = https_uris(mail["headers"]["List-Unsubscribe"])
    kind, body = "application/x-www-form-urlencoded", ONE_CLICK
    if multipart:
        name, _equals, value = ONE_CLICK.partition("=")
        disposition = f'Content-Disposition: form-data; name="{name}"'
        kind = f"multipart/form-data; boundary={BOUNDARY}"
        body = f"--{BOUNDARY}\r\n{disposition}\r\n\r\n{value}\r\n--{BOUNDARY}--\r\n"
    return _visit("POST", url, body, {"Content-Type": kind})


def _visit(
    method: str, url: str, body: str | None = None, headers: dict[str, str] | None = None
) -> Visit:
    with urllib3.PoolManager(retries=False, timeout=10.0) as http:
        answer = http.request(method, url, body=body, headers=headers, redirect=False)
    return Visit(method, url, answer.status, answer.headers)
