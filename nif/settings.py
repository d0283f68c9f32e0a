"""Settings from the environment: read once, checked at the start, then immutable."""

import os
import re
import secrets
from contextlib import suppress
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from nif.errors import Misconfigured

PROJECT = Path(__file__).resolve().parent.parent
LOCAL_HOST, DEFAULT_PORT = "http://127.0.0.1:", "8000"
# Up to three fifths of a lease may pass before a request starts, which may take 35 seconds.
MIN_SEND_LEASE = timedelta(seconds=90)
MIN_SEND_QUIET_PERIOD = timedelta(minutes=5)
# Canaries further apart than five minutes, 2.5 times this, do not show that events came in between.
MIN_CANARY_EVERY, MAX_CANARY_EVERY = timedelta(seconds=60), timedelta(minutes=2)


def _split_words(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _parse_seconds(value: object) -> object:
    is_number = isinstance(value, str) and value.replace(".", "", 1).isdigit()
    return timedelta(seconds=float(str(value))) if is_number else value


WordList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_words)]
Duration = Annotated[timedelta, BeforeValidator(_parse_seconds)]
"""ISO 8601, or a number of seconds."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"
    TESTING = "testing"


class MailerName(StrEnum):
    OUTBOX = "outbox"
    SENDGRID = "sendgrid"


class SecondFactorRequirement(StrEnum):
    """Which accounts must sign in with a second factor."""

    NONE = "none"
    ADMINS = "admins"
    EVERYONE = "everyone"


class Settings(BaseSettings):
    """All settings. Their variables have the prefix `NIF_`; see docs/operators/settings.md."""

    model_config = SettingsConfigDict(
        env_prefix="NIF_", env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    env: Environment = Environment.DEVELOPMENT
    instance_dir: Path = PROJECT / "instance"
    ledger_key_file: Path | None = None
    database_url: str = ""
    database_connections: int = Field(default=10, ge=5, le=1000)
    queue_url: str = ""
    secret_key: SecretStr = SecretStr("")
    secret_key_fallbacks: WordList = ()
    # PORT changes the port for every process and command alike.
    base_url: str = Field(default_factory=lambda: LOCAL_HOST + os.environ.get("PORT", DEFAULT_PORT))

    mailer: MailerName = MailerName.OUTBOX
    sendgrid_api_key: SecretStr = SecretStr("")
    sendgrid_host: str = "https://api.sendgrid.com"
    sendgrid_webhook_public_keys: WordList = ()
    mail_from: str = "news@example.com"
    mail_from_name: str = "New Industry Focus"
    postal_address: str = "New Industry Focus, 1 Demo Street, London E1 0AA, United Kingdom"

    site_name: str = "New Industry Focus"
    site_short_name: str = "NIF"
    owner_name: str = "The ROSTR Group"
    time_zone: str = "Europe/London"
    language: str = "en"
    parent_url: HttpUrl | None = None

    media_dir: Path | None = None
    media_url: str = ""
    media_base_url: str = ""
    media_largest: int = Field(default=25_000_000, ge=100_000, le=1_000_000_000)

    import_largest: int = Field(default=500_000_000, ge=100_000, le=10_000_000_000)

    trusted_proxies: int = Field(default=0, ge=0, le=10)
    trusted_hosts: WordList = ()
    require_second_factor: SecondFactorRequirement = SecondFactorRequirement.NONE

    keep_unconfirmed_days: int = Field(default=30, ge=8, le=3650)
    keep_events_days: int = Field(default=395, ge=31, le=3650)
    keep_networks_days: int = Field(default=730, ge=1, le=3650)

    journal: str = ""
    send_concurrency: int = Field(default=8, ge=1, le=64)
    send_quiet_period: Duration = timedelta(minutes=30)
    canary_to: str = ""
    canary_every: Duration = timedelta(minutes=2)
    send_lease: Duration = timedelta(seconds=90)
    send_fence: bool = False
    send_fence_ahead: Duration = timedelta(minutes=15)
    send_recall_before: Duration = timedelta(minutes=11)
    send_batch_size: int = Field(default=1000, ge=1, le=1000)
    send_rate: float | None = Field(default=None, gt=0)
    send_per_day: int | None = Field(default=None, gt=0)
    send_warm_up_from: date | None = None
    send_within: Duration = timedelta(hours=24)
    send_undo: Duration = timedelta(seconds=30)

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError("must be an address such as https://news.example.com")
        return value.rstrip("/")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("must be the name of a time zone, such as Europe/London") from error
        return value

    @field_validator("database_url", "queue_url")
    @classmethod
    def _postgresql(cls, value: str) -> str:
        return re.sub("^postgres://", "postgresql://", value)

    @field_validator("database_url")
    @classmethod
    def _database(cls, value: str) -> str:
        if value and not value.startswith(("postgresql://", "sqlite:///")):
            raise ValueError("must begin with postgresql:// or sqlite:///")
        return value.replace("postgresql://", "postgresql+psycopg://", 1)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        if self.mailer is MailerName.SENDGRID and not self.sendgrid_api_key.get_secret_value():
            raise ValueError(
                "NIF_MAILER is sendgrid, so NIF_SENDGRID_API_KEY must hold a key (SG.…); "
                "NIF_MAILER=outbox keeps mail on this machine"
            )
        if self.send_fence and self.send_fence_ahead <= self.send_recall_before:
            raise ValueError(
                "NIF_SEND_FENCE_AHEAD must be longer than NIF_SEND_RECALL_BEFORE: a batch can be "
                "recalled only until then"
            )
        if self.in_production:
            self._check_production()
        return self

    def _check_production(self) -> None:
        given = self.model_fields_set
        if len(self.secret_key.get_secret_value()) < 32:
            raise ValueError("NIF_SECRET_KEY must be set in production, to 32 characters or more")
        if "base_url" not in given or not self.base_url.startswith("https://"):
            raise ValueError("NIF_BASE_URL must be set in production, to an https:// address")
        if self.send_lease < MIN_SEND_LEASE or self.send_quiet_period < MIN_SEND_QUIET_PERIOD:
            raise ValueError(
                "NIF_SEND_LEASE must be 90 seconds or more and NIF_SEND_QUIET_PERIOD 300 or more: "
                "with shorter ones a slow answer would count as lost, and people get mail twice"
            )
        if not MIN_CANARY_EVERY <= self.canary_every <= MAX_CANARY_EVERY:
            raise ValueError(
                "NIF_CANARY_EVERY must be from 60 to 120 seconds: events take up to a minute, and "
                "canaries further apart prove nothing about the time between them"
            )
        if self.mailer is MailerName.OUTBOX:
            raise ValueError("NIF_MAILER must be sendgrid in production: the outbox sends no mail")
        are_set = {"postal_address", "mail_from"} <= given
        if not (are_set and self.postal_address.strip() and self.mail_from.strip()):
            raise ValueError("NIF_POSTAL_ADDRESS and NIF_MAIL_FROM must be set in production")

    @property
    def in_production(self) -> bool:
        return self.env is Environment.PRODUCTION

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.instance_dir / 'nif.db'}"

    @property
    def ledger_key(self) -> Path:
        """The file with the key that signs the ledger's checkpoints."""
        return self.ledger_key_file or self.instance_dir / "ledger_key.pem"

    @property
    def imports(self) -> Path:
        """The folder for the files of imports."""
        return self.instance_dir / "imports"

    @property
    def journal_place(self) -> str:
        """Where the journal of attempts is: a path, or an s3:// address."""
        return self.journal or str(self.instance_dir / "journal")

    @property
    def queue(self) -> str:
        """Where wake-ups are stored: a PostgreSQL address, or the path of a SQLite file."""
        if self.queue_url:
            return self.queue_url.removeprefix("sqlite:///")
        if self.database.startswith("postgresql"):
            return self.database.replace("+psycopg", "", 1)
        return self.database.removeprefix("sqlite:///") + "-queue"

    @cached_property
    def keys(self) -> tuple[bytes, ...]:
        """The secret keys. The first signs; older ones still verify what they signed."""
        current = self.secret_key.get_secret_value() or _read_or_create_key(self.instance_dir)
        return tuple(key.encode() for key in (current, *self.secret_key_fallbacks))


def load_settings(**given: object) -> Settings:
    """Read the environment and `.env`; arguments take precedence.

    Raises Misconfigured with one sentence that names the setting.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        raise Misconfigured(_describe_error(error)) from None


def _describe_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    message = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"{message}."
    return f"NIF_{str(first['loc'][0]).upper()} {message[0].lower()}{message[1:]}."


def _read_or_create_key(folder: Path) -> str:
    """A development key, created once, so that links in mail stay valid after a restart."""
    path = folder / "secret_key"
    if not path.exists() or not path.read_text().strip():
        folder.mkdir(parents=True, exist_ok=True)
        written = folder / f"secret_key.{secrets.token_hex(4)}"
        written.touch(mode=0o600)
        written.write_text(secrets.token_urlsafe(48))
        _move_into_place_once(written, path)
    return path.read_text().strip()


def _move_into_place_once(written: Path, path: Path) -> None:
    """Move a key into place unless another process was first: both must read the same key."""
    if path.exists() and not path.read_text().strip():
        path.unlink(missing_ok=True)
    with suppress(FileExistsError):
        path.hardlink_to(written)
    written.unlink()
