"""The database, on SQLite and PostgreSQL: the models' base class and the only commit."""

import enum
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    TextClause,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool
from sqlalchemy.types import TypeDecorator

from nif.errors import Conflict, Misconfigured, NotFound

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A primary key. SQLite assigns ids only to columns of type INTEGER."""

Json = JSON().with_variant(postgresql.JSONB(), "postgresql")


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite stores no time zone, so it is removed and added again here."""

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
"""Engine options that give rules the site's secret keys and time zone through their session."""


def secret_keys_of(session: Session) -> tuple[bytes, ...]:
    """The site's secret keys, of which the first signs; empty where none are set."""
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


Model = TypeVar("Model", bound=Base)
Found = TypeVar("Found")


def partial_index(
    name: str, *columns: str | Column[Any], where: TextClause, **options: Any
) -> Index:
    """An index of the rows that meet a condition. Queries contain its text literally."""
    return Index(name, *columns, sqlite_where=where, postgresql_where=where, **options)


def table_of(model: type[Base]) -> Table:
    """A model's table, for statements that run thousands of times: they skip the ORM's work."""
    return cast("Table", model.__table__)


def get_row(
    session: Session, model: type[Model], key: object, missing: str, *, lock: bool = False
) -> Model:
    """The row with this primary key. Raises NotFound with the sentence `missing`.

    With `lock` others wait for it; the tables that are loaded with it are not locked.
    """
    row = session.get(model, key, with_for_update={"of": model} if lock else None)
    if row is None:
        raise NotFound(missing)
    return row


def get_first(session: Session, query: Select[Found], missing: str) -> Found:
    """The first thing that a query finds. Raises NotFound with the sentence `missing`."""
    found = session.scalar(query)
    if found is None:
        raise NotFound(missing)
    return found


def count_rows(session: Session, query: Select[Any]) -> int:
    """How many rows a query finds."""
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def is_among_ids(session: Session, column: Any, ids: Iterable[int]) -> ColumnElement[bool]:
    """A test that looks up each id in an index, whatever the planner's statistics.

    The ids are one parameter: thousands of them would take longer than the search.
    """
    listed = list(ids)
    if session.get_bind().dialect.name == "sqlite":
        packed = bindparam(None, json.dumps(listed), type_=String)
        found = column.in_(select(func.json_each(packed).table_valued("value").c.value))
    else:
        found = column == any_(bindparam(None, listed, type_=ARRAY(BigInteger)))
    return cast("ColumnElement[bool]", found)


def conflict_aware_insert(session: Session, model: type[Base]) -> Any:
    """An INSERT that supports ON CONFLICT, in the dialect of the session's database."""
    if session.get_bind().dialect.name == "sqlite":
        return sqlite.insert(model)
    return postgresql.insert(model)


def insert_if_new(session: Session, model: type[Model], **values: Any) -> Model | None:
    """Insert a row and return it; None where a unique key says that it is there already."""
    statement = conflict_aware_insert(session, model).values(**values).on_conflict_do_nothing()
    row: Model | None = session.scalar(statement.returning(model))
    return row


def put_row(session: Session, model: type[Base], **values: Any) -> None:
    """Insert a row, or set these values in the row with the same primary key."""
    keys = list(table_of(model).primary_key)
    others = {name: value for name, value in values.items() if name not in {k.key for k in keys}}
    statement = conflict_aware_insert(session, model).values(**values)
    session.execute(statement.on_conflict_do_update(index_elements=keys, set_=others))


def lock_row(session: Session, model: type[Model], key: Any, **values: Any) -> Model:
    """The row with this primary key, locked; where there is none, it is made of `values`.

    These include the key's own columns.
    """
    insert_if_new(session, model, **values)
    return session.get_one(model, key, with_for_update=True, populate_existing=True)


def add_counts(session: Session, model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add the counts in `rows` to those of the rows with the same primary keys, or insert them.

    Give the rows sorted by their keys: then two transactions that count the same ones cannot
    deadlock.
    """
    if not rows:
        return
    statement, table = conflict_aware_insert(session, model), table_of(model)
    sums = {name: table.c[name] + statement.excluded[name] for name in rows[0]}
    for column in table.primary_key:
        del sums[column.name]
    session.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=sums), rows
    )


def raise_next_id(session: Session, model: type[Base], used: int) -> None:
    """Have the next row get an id above `used`: what refers to that id is outside the database."""
    name, table = table_of(model).name, table_of(model)
    if used <= (session.scalar(select(func.max(table.c.id))) or 0):
        return
    values = {"name": name, "used": used}
    if session.get_bind().dialect.name == "postgresql":
        above = text(
            "SELECT setval(pg_get_serial_sequence(:name, 'id'), GREATEST(:used, nextval("
            "pg_get_serial_sequence(:name, 'id'))))"
        )
        session.execute(above, values)
        return
    session.execute(
        text("UPDATE sqlite_sequence SET seq = max(seq, :used) WHERE name = :name"), values
    )
    missing = text(
        "INSERT INTO sqlite_sequence (name, seq) SELECT :name, :used"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = :name)"
    )
    session.execute(missing, values)


def delete_unreferenced(session: Session, row: Base, referenced: str) -> None:
    """Delete a row; raises Conflict with the sentence `referenced` where other rows refer to it.

    Foreign keys find that out, including those of tables that the caller does not know.
    """
    try:
        with session.begin_nested():
            session.delete(row)
    except IntegrityError:
        raise Conflict(referenced) from None


class Transaction(Protocol):
    """Opens a transaction that commits when its block ends, and rolls back when it raises."""

    def __call__(self) -> AbstractContextManager[Session]: ...


class Database:
    """An engine and the two ways to use it: `transaction()` to change data, `reading()` to read."""

    def __init__(
        self, url: str, keys: Sequence[bytes] = (), *, zone: str = "UTC", connections: int = 10
    ) -> None:
        """`keys` hash the addresses of erased people; `zone` decides the day of an event.

        At most so many `connections` to PostgreSQL are open, and one more for events.
        """
        self._url, self._options = url, {SECRET_KEYS_OPTION: tuple(keys), TIME_ZONE_OPTION: zone}
        self.engine = create_database_engine(url, connections)
        self.engine.update_execution_options(**self._options)
        self._readers = self.engine.execution_options(sqlite_begin="DEFERRED")
        self._for_events: Engine | None = None

    def transaction(self) -> AbstractContextManager[Session]:
        return _transaction(self.engine)

    def keep_connection_for_events(self) -> None:
        """Open a connection that only `event_transaction` uses, so that nothing else can take it.

        A process that receives events calls this when it starts. SQLite needs no connections.
        Raises OperationalError where the database has none left.
        """
        if self.engine.dialect.name == "sqlite" or self._for_events is not None:
            return
        self._for_events = create_database_engine(self._url, 1)
        self._for_events.update_execution_options(**self._options)
        self._for_events.connect().close()

    def event_transaction(self) -> AbstractContextManager[Session]:
        """A transaction that stores events, on the connection kept for them if there is one."""
        return _transaction(self._for_events or self.engine)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session whose changes are discarded. On SQLite it never waits for a writer."""
        with Session(self._readers, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session that sees the database as it was at one moment, however long it reads."""
        with self.reading() as session:
            if session.get_bind().dialect.name == "postgresql":
                session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            yield session

    def fetch_value(self, query: Select[Any]) -> Any:
        """The first value of a query, without the cost of a session: for queries of every page."""
        with self._readers.connect() as connection:
            return connection.scalar(query)

    def check_reachable(self) -> None:
        """Raises Misconfigured where the database cannot be reached."""
        try:
            with self.reading() as session:
                session.execute(text("SELECT 1"))
        except DBAPIError as error:
            where = self.engine.url.render_as_string(hide_password=True)
            reason = str(error.orig).strip().splitlines()[0]
            raise Misconfigured(f"The database at {where} cannot be reached: {reason}") from None

    def truncate_wal(self) -> None:
        """Checkpoint and truncate SQLite's write-ahead log, as far as no reader needs it.

        Until then the log still contains deleted data. PostgreSQL needs no such step.
        """
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect() as connection:
            raw = connection.connection.dbapi_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def close(self) -> None:
        self.engine.dispose()
        if self._for_events is not None:
            self._for_events.dispose()


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False) as session:
        yield session
        session.commit()


class BoundedPool(QueuePool):
    """A pool of connections. To wait for one in vain is an error of the database like any other."""

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return super()._do_get()
        except PoolTimeout as error:
            waited = TimeoutError(f"all {self.size()} connections of this process are in use")
            raise OperationalError(None, None, waited) from error


def create_database_engine(url: str, connections: int = 10) -> Engine:
    """An engine with the settings that NIF depends on."""
    pool: dict[str, Any] = {"hide_parameters": True, "poolclass": BoundedPool}
    if url.startswith("sqlite"):
        path = make_url(url).database
        if path and path != ":memory:":
            # If this fails, opening the file fails, too, with a clear message.
            with suppress(OSError):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"isolation_level": None, "timeout": 15}
        engine = create_engine(url, connect_args=options, pool_size=10, max_overflow=10, **pool)
        event.listen(engine, "connect", _set_sqlite_pragmas)
        event.listen(engine, "begin", _begin_sqlite_transaction)
        return engine
    options = {"connect_timeout": 5, "options": "-c statement_timeout=60000 -c timezone=UTC"}
    pool |= {"pool_size": connections, "max_overflow": 0, "pool_timeout": CONNECTION_WAIT_SECONDS}
    engine = create_engine(url, connect_args=options, **pool)
    _ping_idle_connections(engine)
    return engine


CONNECTION_WAIT_SECONDS = 10.0
"""How long a thread waits for one of its process's connections."""

PING_AFTER_IDLE_SECONDS = 1.0
"""After so many idle seconds a connection is tested, because it may have been cut."""


def _ping_idle_connections(engine: Engine) -> None:
    """Test a connection that was idle. A test before every use would cost too much."""

    def record_checkin(_connection: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    def ping_if_idle(connection: Any, record: Any, _proxy: Any) -> None:
        now = time.monotonic()
        if now - record.info.get("idle_since", now) < PING_AFTER_IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except connection.Error as error:
            raise DisconnectionError from error

    event.listen(engine, "checkin", record_checkin)
    event.listen(engine, "checkout", ping_if_idle)


def _set_sqlite_pragmas(connection: Any, _record: Any) -> None:
    # FULL, because the record of an attempt must survive a power cut: it is written before the
    # request, and without it a batch could be posted twice.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-8192",
        "temp_store=MEMORY",
        # Overwrite deleted data: an erased address must not remain in a free page.
        "secure_delete=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite_transaction(connection: Any) -> None:
    # A deferred transaction that reads first and writes later fails at once while another writer
    # is active, whatever the busy timeout; so transactions that write take the lock first.
    kind = connection.get_execution_options().get("sqlite_begin", "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {kind}")
