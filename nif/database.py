"""The database: one Base, one place that commits, on SQLite and on PostgreSQL alike."""

import enum
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Integer,
    MetaData,
    Select,
    Table,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from nif.errors import Misconfigured

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A key. SQLite numbers rows by itself only where the type is INTEGER."""

Json = JSON().with_variant(postgresql.JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets zones, so they are taken off and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


SECRET_KEYS_OPTION, TIME_ZONE_OPTION = "nif_keys", "nif_zone"
"""The options of an engine with the house's secret keys and time zone, so that rules know them."""


def secret_keys_of(session: Session) -> tuple[bytes, ...]:
    """The house's secret keys, the one that signs first; none where the house has none."""
    keys: tuple[bytes, ...] = session.get_bind().get_execution_options().get(SECRET_KEYS_OPTION, ())
    return keys


def _enum_values(kind: type[enum.Enum]) -> list[str]:
    return [member.value for member in kind]


class Base(DeclarativeBase):
    """The base of all models.

    No id is ever used again: SQLite would give that of the last row, once deleted, to the next one,
    while mails, pages and the audit log still name the old row. PostgreSQL never does.
    """

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {
        datetime: UtcDateTime,
        dict[str, Any]: Json,
        list[Any]: Json,
        enum.Enum: Enum(enum.Enum, native_enum=False, length=32, values_callable=_enum_values),
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        table = cls.__table__
        if isinstance(table, Table) and table.autoincrement_column is not None:
            table.dialect_options["sqlite"]["autoincrement"] = True


def table_of(model: type[Base]) -> Table:
    """A model's bare table, for statements that run a thousand times: they skip the ORM's work."""
    return cast("Table", model.__table__)


def conflict_aware_insert(session: Session, model: type[Base]) -> Any:
    """An INSERT that knows ON CONFLICT, in the dialect of the session's database."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(model)
    return postgresql.insert(model)


class Transaction(Protocol):
    """Opens a transaction: commits when the block ends well, rolls back when it does not."""

    def __call__(self) -> AbstractContextManager[Session]: ...


class Database:
    """An engine and the two ways to use it: `transaction()` to change, `reading()` to look."""

    def __init__(self, url: str, keys: Sequence[bytes] = (), *, zone: str = "UTC") -> None:
        """`keys` hash what is kept of the erased, `zone` says on which day a thing is counted."""
        self.engine = create_database_engine(url)
        self.engine.update_execution_options(
            **{SECRET_KEYS_OPTION: tuple(keys), TIME_ZONE_OPTION: zone}
        )
        self._readers = self.engine.execution_options(sqlite_begin="DEFERRED")

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as session:
            yield session
            session.commit()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session whose changes are thrown away; on SQLite it never waits for a writer."""
        with Session(self._readers, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that sees one moment only, however long it reads."""
        with self.reading() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    def fetch_value(self, query: Select[Any]) -> Any:
        """The first value of a query, without the cost of a session: for what every page asks."""
        with self._readers.connect() as connection:
            return connection.scalar(query)

    def check_reachable(self) -> None:
        """Raises Misconfigured where the database does not answer."""
        try:
            with self.reading() as session:
                session.execute(text("SELECT 1"))
        except DBAPIError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            why = str(error.orig).strip().splitlines()[0]
            raise Misconfigured(f"The database at {where} cannot be reached: {why}") from None

    def truncate_wal(self) -> None:
        """Write SQLite's log into its file and empty it, as far as nobody is reading.

        What was deleted stands in the log until then. PostgreSQL looks after itself.
        """
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        self.engine.dispose()


def create_database_engine(url: str) -> Engine:
    """An engine with the settings that NIF's promises rest on."""
    if url.startswith("sqlite"):
        return _create_sqlite_engine(url)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=60000 -c timezone=UTC",
        },
    )
    _ping_idle_connections(engine)
    return engine


PING_AFTER_IDLE_SECONDS = 1.0
"""Seconds after which a connection may have been cut without anybody noticing."""


def _ping_idle_connections(engine: Engine) -> None:
    """Try out a connection that was not used for a while: for each use it would cost too much."""

    def lay_down(_connection: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    def take_up(connection: Any, record: Any, _proxy: Any) -> None:
        if (
            time.monotonic() - record.info.get("rests_since", time.monotonic())
            < PING_AFTER_IDLE_SECONDS
        ):
            return
        try:
            engine.dialect.do_ping(connection)
        except connection.Error as error:
            raise DisconnectionError from error

    event.listen(engine, "checkin", lay_down)
    event.listen(engine, "checkout", take_up)


def _create_sqlite_engine(url: str) -> Engine:
    path = make_url(url).database
    if path and path != ":memory:":
        # Where this cannot be, opening the file says so, and in words.
        with suppress(OSError):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        hide_parameters=True,
        connect_args={"isolation_level": None, "timeout": 15},
        pool_size=10,
        max_overflow=10,
    )
    event.listen(engine, "connect", _set_sqlite_pragmas)
    event.listen(engine, "begin", _begin_sqlite_transaction)
    return engine


def _set_sqlite_pragmas(connection: Any, _record: Any) -> None:
    # A power cut must not undo the note that a request was about to be made: hence FULL.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-8192",
        "temp_store=MEMORY",
        # What is deleted is overwritten: an address that was forgotten is in no free page.
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite_transaction(connection: Any) -> None:
    # Reading first and writing later in a deferred transaction fails at once under another
    # writer, whatever the busy timeout says; so writers take their place in the queue first.
    kind = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {kind}")
