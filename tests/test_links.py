from datetime import date

import pytest

from nif.links import Links

LINKS = {
    "home": ((), "/"),
    "story": (("anna-s-archive",), "/articles/anna-s-archive"),
    "transparency_record": (("anna-s-archive",), "/articles/anna-s-archive/transparency.json"),
    "tag": (("ai-training",), "/tags/ai-training"),
    "tag_feed": (("ai-training",), "/tags/ai-training/feed.xml"),
    "policy": (("ethics",), "/policies/ethics"),
    "path": (("/feed.xml",), "/feed.xml"),
    "correction": (("daily", date(2026, 3, 1), 7), "/newsletters/daily/2026-03-01/correction-7"),
    "edition": (("daily", date(2026, 3, 1)), "/newsletters/daily/2026-03-01"),
    "ledger": ((), "/transparency/ledger"),
    "picture": (("ab12.jpg",), "/media/ab12.jpg"),
    "confirm": (("t0ken",), "/confirm/t0ken"),
    "preferences": (("t0ken",), "/preferences/t0ken"),
    "unsubscribe": (("t0ken",), "/unsubscribe/t0ken"),
    "address_change": (("t0ken",), "/preferences/t0ken/address"),
    "confirm_address": (("t0ken",), "/new-address/t0ken"),
    "repermission": (("t0ken",), "/stay/t0ken"),
    "report_signup": (("t0ken",), "/report-signup/t0ken"),
    "reset_password": (("t0ken",), "/reset/t0ken"),
    "invitation": (("t0ken",), "/invitation/t0ken"),
}


@pytest.mark.parametrize("base_url", ["https://news.example.com", "https://example.com/news"])
@pytest.mark.parametrize("name", LINKS)
def test_a_link_is_the_base_url_and_its_documented_path(name, base_url):
    arguments, path = LINKS[name]

    assert getattr(Links(base_url), name)(*arguments) == base_url + path


def test_every_link_is_tested_here():
    made = {name for name in vars(Links) if not name.startswith("_")}

    assert made - {"base_url", "media_base_url"} == set(LINKS)
