"""robots.txt, trust.txt, ads.txt and security.txt."""

from datetime import datetime, timedelta
from urllib.robotparser import RobotFileParser

import pytest
from flask.testing import FlaskClient
from pydantic import HttpUrl

from nif.app import build_app
from nif.clock import utc_now
from nif.services import build_services
from nif.settings import Settings
from nif.web.public.policies import TRAINING_CRAWLERS
from tests.web.public.channels import fetched

# These pages say the same on any database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

BASE = "http://127.0.0.1:8000"


def fields(client: FlaskClient, path: str, between: str) -> list[tuple[str, str]]:
    lines = [line for line in fetched(client, path).splitlines() if line and line[0] != "#"]
    return [(name, value.strip()) for name, _, value in (line.partition(between) for line in lines)]


def test_crawlers_may_read_everything_but_not_for_training(client: FlaskClient) -> None:
    robots = RobotFileParser()
    robots.parse(fetched(client, "/robots.txt").splitlines())

    for path in ("/", "/articles/a-story", "/feed.xml", "/policies/ethics"):
        assert robots.can_fetch("Googlebot", path)
        assert not [name for name in TRAINING_CRAWLERS if robots.can_fetch(name, path)]
    assert robots.site_maps() == [f"{BASE}/sitemap.xml", f"{BASE}/sitemaps/news.xml"]
    assert ("Content-Usage", "train-ai=n, search=y") in fields(client, "/robots.txt", ":")


def test_every_file_says_the_same_about_training(client: FlaskClient) -> None:
    policy = fetched(client, "/policies/ai-and-reuse")

    assert "train-ai=n" in policy
    assert [name for name in TRAINING_CRAWLERS if f"<li>{name}</li>" not in policy] == []
    assert ("datatrainingallowed", "no") in fields(client, "/trust.txt", "=")


def test_trust_txt_is_served_at_both_addresses(client: FlaskClient) -> None:
    assert fetched(client, "/trust.txt") == fetched(client, "/.well-known/trust.txt")
    said = fields(client, "/trust.txt", "=")

    assert ("disclosure", f"{BASE}/policies/ownership-and-funding") in said
    assert ("contact", f"{BASE}/policies/feedback") in said
    # Whose we are is said with an address, or not at all.
    assert "controlledby" not in dict(said)


def test_the_parent_company_is_named_if_its_address_is_set(settings: Settings) -> None:
    services = build_services(
        settings.model_copy(update={"parent_url": HttpUrl("https://parent.example")})
    )
    said = fields(build_app(services).test_client(), "/trust.txt", "=")
    services.database.close()

    assert ("controlledby", "https://parent.example/") in said


def test_ads_txt_says_that_no_ads_are_sold(client: FlaskClient) -> None:
    (line,) = [one for one in fetched(client, "/ads.txt").splitlines() if one[0] != "#"]

    assert line == "placeholder.example.com, placeholder, DIRECT, placeholder"


def test_security_txt_expires_within_a_year(client: FlaskClient) -> None:
    said = dict(fields(client, "/.well-known/security.txt", ":"))
    expires = datetime.fromisoformat(said["Expires"])

    assert utc_now() + timedelta(days=170) < expires < utc_now() + timedelta(days=365)
    assert said["Contact"] == f"{BASE}/policies/feedback"
    assert client.get(said["Contact"].removeprefix(BASE)).status_code == 200
    assert said["Canonical"] == f"{BASE}/.well-known/security.txt"


@pytest.mark.parametrize(
    "path", ["/robots.txt", "/trust.txt", "/ads.txt", "/.well-known/security.txt"]
)
def test_the_files_are_plain_text_and_answered_with_304_when_unchanged(
    client: FlaskClient, path: str
) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})

    assert first.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert again.status_code == 304
