import os
import stat
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from nif.errors import Misconfigured
from nif.settings import MailerName, Settings, load_settings

LIVE = {
    "env": "production",
    "secret_key": "a secret of production, forty characters.",
    "base_url": "https://news.example.com",
    "mailer": "sendgrid",
    "sendgrid_api_key": "SG.key",
    "mail_from": "news@example.com",
    "postal_address": "1 Real Street, London",
}

WRONG = {
    "NIF_ENV": ["staging"],
    "NIF_MAILER": ["pigeon", "sendgrid"],
    "NIF_BASE_URL": ["news.example.com", "ftp://news.example.com", "http://[::1", "/news"],
    "NIF_DATABASE_URL": ["mysql://nif:hunter2@localhost/nif", "nif.db", "sqlite://"],
    "NIF_TIME_ZONE": ["Mars/Olympus", "Europe", "../etc/passwd"],
    "NIF_TRUSTED_PROXIES": ["-1", "11", "many"],
    "NIF_REQUIRE_SECOND_FACTOR": ["some"],
    "NIF_SEND_CONCURRENCY": ["0", "65", "some"],
    "NIF_SEND_QUIET_PERIOD": ["half an hour", "-5"],
    "NIF_SEND_FENCE": ["perhaps"],
    "NIF_SEND_FENCE_AHEAD": ["soon"],
    "NIF_SEND_BATCH_SIZE": ["0", "1001"],
    "NIF_SEND_RATE": ["0", "-1", "fast"],
    "NIF_SEND_PER_DAY": ["0", "1.5"],
    "NIF_SEND_WARM_UP_FROM": ["tomorrow", "2026-13-01"],
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch, tmp_path):
    """Neither this machine's environment nor its `.env` counts."""
    for name in [name for name in os.environ if name.upper().startswith("NIF_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in WRONG.items() for v in values])
def test_a_wrong_setting_is_refused_in_a_sentence_that_names_it(monkeypatch, name, value):
    monkeypatch.setenv("NIF_SITE_NAME", "Noise")
    monkeypatch.setenv(name, value)

    with pytest.raises(Misconfigured) as refusal:
        load_settings()

    sentence = str(refusal.value)
    assert sentence.startswith(f"{name} ")
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "\n" not in sentence
    assert "hunter2" not in sentence


def test_sendgrid_without_a_key_is_refused_with_what_to_set():
    with pytest.raises(Misconfigured, match=r"NIF_SENDGRID_API_KEY must hold a key .*outbox"):
        load_settings(mailer="sendgrid")


@pytest.mark.parametrize("given", ["postgres://nif:pw@db/news", "postgresql://nif:pw@db/news"])
def test_a_postgres_address_is_understood_in_both_spellings(given):
    settings = load_settings(database_url=given)

    assert settings.database == "postgresql+psycopg://nif:pw@db/news"
    assert settings.queue == "postgresql://nif:pw@db/news"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_queue_of_its_own_is_understood_in_both_spellings(scheme):
    assert load_settings(queue_url=f"{scheme}://db/queue").queue == "postgresql://db/queue"


def test_by_default_everything_is_in_the_instance_folder(tmp_path):
    settings = load_settings(instance_dir=tmp_path)

    assert settings.database == f"sqlite:///{tmp_path}/nif.db"
    assert settings.queue == f"{tmp_path}/nif.db-queue"
    assert settings.mailer is MailerName.OUTBOX


def test_the_environment_and_the_env_file_are_read(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("NIF_SITE_NAME=Of The File\nNIF_SITE_SHORT_NAME=FILE\n")
    monkeypatch.setenv("NIF_SITE_NAME", "Of The Environment")
    monkeypatch.setenv("NIF_LANGUAGE", "")
    monkeypatch.setenv("SITE_SHORT_NAME", "Noise")

    settings = load_settings()

    assert (settings.site_name, settings.site_short_name) == ("Of The Environment", "FILE")
    assert settings.language == "en"


def test_settings_are_frozen():
    settings = load_settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.site_name = "Another"


def test_production_settings_that_are_complete_are_accepted():
    assert load_settings(**LIVE).in_production


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"secret_key": None}, "NIF_SECRET_KEY"),
        ({"secret_key": "short"}, "NIF_SECRET_KEY"),
        ({"base_url": None}, "NIF_BASE_URL"),
        ({"base_url": "http://news.example.com"}, "NIF_BASE_URL"),
        ({"mailer": None}, "NIF_MAILER"),
        ({"mailer": "outbox"}, "NIF_MAILER"),
        ({"postal_address": None}, "NIF_POSTAL_ADDRESS"),
        ({"postal_address": " "}, "NIF_POSTAL_ADDRESS"),
        ({"mail_from": None}, "NIF_MAIL_FROM"),
        ({"send_lease": "89"}, "NIF_SEND_LEASE"),
        ({"send_quiet_period": "299"}, "NIF_SEND_QUIET_PERIOD"),
    ],
)
def test_production_refuses_settings_that_development_allows(change, named):
    given = {name: value for name, value in {**LIVE, **change}.items() if value is not None}

    with pytest.raises(Misconfigured) as refusal:
        load_settings(**given)

    assert named in str(refusal.value)
    assert "Traceback" not in str(refusal.value)


def test_the_generated_key_is_stable_and_for_its_owner_only(tmp_path):
    first = load_settings(instance_dir=tmp_path / "new").keys
    second = load_settings(instance_dir=tmp_path / "new").keys
    elsewhere = load_settings(instance_dir=tmp_path / "other").keys

    assert first == second != elsewhere
    assert len(first[0]) >= 32
    mode = (tmp_path / "new" / "secret_key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_an_empty_key_file_is_replaced(tmp_path):
    (tmp_path / "secret_key").touch(mode=0o600)

    assert len(load_settings(instance_dir=tmp_path).keys[0]) >= 32


def test_the_ledgers_key_is_in_the_instance_folder_unless_set(tmp_path):
    assert load_settings(instance_dir=tmp_path).ledger_key == tmp_path / "ledger_key.pem"
    assert load_settings(ledger_key_file="/keys/own.pem").ledger_key == Path("/keys/own.pem")


def test_the_current_key_signs_and_older_ones_still_verify(tmp_path):
    settings = load_settings(
        instance_dir=tmp_path, secret_key="new", secret_key_fallbacks="old, older oldest"
    )

    assert settings.keys == (b"new", b"old", b"older", b"oldest")
    assert not (tmp_path / "secret_key").exists()


@pytest.mark.parametrize(
    "name",
    [
        "send_quiet_period",
        "send_lease",
        "send_fence_ahead",
        "send_recall_before",
        "send_within",
        "send_undo",
    ],
)
@pytest.mark.parametrize(("given", "seconds"), [("90", 90), ("1.5", 1.5), ("0", 0), ("PT5M", 300)])
def test_times_are_given_in_seconds(monkeypatch, name, given, seconds):
    monkeypatch.setenv(f"NIF_{name.upper()}", given)

    assert getattr(load_settings(), name).total_seconds() == seconds


@pytest.mark.parametrize("before", ["900", "901"])
def test_a_fence_that_leaves_no_time_to_recall_is_refused(before):
    given = {"send_fence_ahead": "900", "send_recall_before": before}
    assert not load_settings(**given).send_fence

    with pytest.raises(Misconfigured, match="NIF_SEND_FENCE_AHEAD must be longer"):
        load_settings(send_fence="yes", **given)
    assert load_settings(send_fence="yes", send_fence_ahead="900").send_fence


def test_a_warm_up_begins_on_a_day(monkeypatch):
    monkeypatch.setenv("NIF_SEND_WARM_UP_FROM", "2026-11-20")
    monkeypatch.setenv("NIF_SEND_RATE", "2.5")

    settings = load_settings()
    assert (settings.send_warm_up_from, settings.send_rate) == (date(2026, 11, 20), 2.5)
    assert settings.send_per_day is None


def test_a_base_url_loses_its_last_slash():
    assert load_settings(base_url="https://example.com/news/").base_url == (
        "https://example.com/news"
    )


def test_no_secret_is_shown_where_settings_are_printed():
    settings = load_settings(secret_key="hush hush", sendgrid_api_key="SG.hush")

    assert isinstance(settings, Settings)
    assert "hush" not in repr(settings)


def test_the_port_setting_changes_the_base_url_unless_that_is_set(monkeypatch):
    monkeypatch.setenv("PORT", "8951")
    assert Settings(_env_file=None).base_url == "http://127.0.0.1:8951"
    monkeypatch.setenv("NIF_BASE_URL", "http://127.0.0.1:9000")
    assert Settings(_env_file=None).base_url == "http://127.0.0.1:9000"
