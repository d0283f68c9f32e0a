import json
import logging

import pytest
import structlog

from nif.links import Links
from nif.logs import configure_logging, redact
from nif.settings import load_settings

LINKS_OF_SLUGS = {"story", "transparency_record", "tag", "tag_feed"}
DEVELOPMENT = {"env": "development"}
PRODUCTION = {
    "env": "production",
    "secret_key": "a secret of production, forty characters.",
    "base_url": "https://news.example.com",
    "mailer": "sendgrid",
    "sendgrid_api_key": "SG.key",
    "mail_from": "news@example.com",
    "postal_address": "1 Real Street, London",
}
SECRETS = {
    "an address": ("ann@example.com", "[address]"),
    "a token of a new address": ("/new-address/AbC-_123", "/new-address/[token]"),
    "a token": ("https://news.example.com/confirm/AbC-_123", "/confirm/[token]"),
    "a key": ("SG.abc-DEF_12.xyz", "[key]"),
}


@pytest.fixture(params=[DEVELOPMENT, PRODUCTION], ids=["console", "json"])
def start(request):
    """Sets logs up as NIF does it and gives a library's logger; all is put back afterwards."""
    root, ours = logging.getLogger(), structlog.get_config()
    before, level = root.handlers, root.level

    def start():
        configure_logging(load_settings(_env_file=None, **request.param))
        return logging.getLogger("some.library")

    yield start
    root.handlers = before
    root.setLevel(level)
    structlog.configure(**ours)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def written(capsys):
    def read():
        output = capsys.readouterr()
        return output.out + output.err

    return read


@pytest.mark.parametrize("what", SECRETS)
def test_nothing_secret_is_logged(start, written, what):
    secret, instead = SECRETS[what]

    start().warning("mailing %s there was trouble", secret)

    line = written()
    assert secret not in line
    assert instead in line
    assert "there was trouble" in line


@pytest.mark.parametrize("what", SECRETS)
def test_nothing_secret_is_in_a_logged_exception(start, written, what):
    log = start()
    secret, instead = SECRETS[what]
    try:
        raise ValueError(f"refused: {secret}")
    except ValueError:
        log.exception("a mail failed")

    output = written()
    assert secret not in output
    assert "ValueError" in output
    assert instead in output


@pytest.mark.parametrize(
    "wrap",
    [str, lambda secret: [secret], lambda secret: {"in": secret}],
    ids=["a text", "a list", "a mapping"],
)
@pytest.mark.parametrize("what", SECRETS)
def test_nothing_secret_is_in_the_bound_context_of_a_request(start, written, what, wrap):
    secret, _ = SECRETS[what]
    structlog.contextvars.bind_contextvars(value=wrap(secret))

    start().warning("a request failed")

    output = written()
    assert "a request failed" in output
    assert secret not in output


@pytest.mark.parametrize("what", SECRETS)
def test_nothing_secret_is_in_structured_logs(start, written, what):
    secret, _ = SECRETS[what]
    start()

    structlog.get_logger("nif.web.errors").error("a request failed", path=secret)

    output = written()
    assert "a request failed" in output
    assert secret not in output


@pytest.mark.parametrize("start", [PRODUCTION], ids=["json"], indirect=True)
def test_in_production_each_entry_is_one_line_of_json(start, written):
    log = start()
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("first")
    structlog.contextvars.bind_contextvars(request_id="abc123")
    log.info("second")

    first, second = map(json.loads, written().splitlines())
    assert (first["event"], first["level"], first["logger"]) == ("first", "error", "some.library")
    assert "two\nlines" in first["exception"]
    assert (second["event"], second["request_id"]) == ("second", "abc123")


def test_chatty_libraries_log_only_warnings_and_errors(start, written):
    start()
    logging.getLogger("urllib3").info("chatter")
    logging.getLogger("urllib3").warning("trouble")

    output = written()
    assert "trouble" in output
    assert "chatter" not in output


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("mailto:ann+news@example.com", "mailto:[address]"),
        ("Ann <ann@example.com>, bob", "Ann <[address]>, bob"),
        ('{"to": "ann@example.com"}', '{"to": "[address]"}'),
        ("to=ann@bücher.example", "to=[address]"),
        ("GET /v3/suppression/bounces/ann%40example.com", "GET /v3/suppression/bounces/[address]"),
        ("POST /unsubscribe/AbC123?x=1", "POST /unsubscribe/[token]?x=1"),
        ("GET /stay/AbC123", "GET /stay/[token]"),
        ("/preferences/AbC123 /reset/AbC123", "/preferences/[token] /reset/[token]"),
        ("Authorization: Bearer SG.abc.def", "Authorization: Bearer [key]"),
        ("at 12:00, 3 of 4 batches", "at 12:00, 3 of 4 batches"),
        ("GET /articles/anna-s-archive", "GET /articles/anna-s-archive"),
        ("/unsubscribe and /preferences", "/unsubscribe and /preferences"),
    ],
)
def test_addresses_tokens_and_keys_are_redacted_and_nothing_else(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, make in vars(Links).items()
        if getattr(make, "__name__", "") == "build_address" and name not in LINKS_OF_SLUGS
    ],
)
def test_no_token_of_a_link_is_logged(name):
    link = getattr(Links("https://news.example.com"), name)("AbC-_123")

    assert "AbC" not in redact(f"GET {link} HTTP/1.1")
