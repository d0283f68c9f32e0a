import ast
import enum
import importlib
import pkgutil

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import nif
from nif import schema
from nif.database import Base
from nif.errors import Misconfigured
from nif.settings import PROJECT
from tests.upgrades.rows import fill_with_samples

for module in pkgutil.walk_packages(nif.__path__, "nif."):
    # Whatever has tables has them described from here on.
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)

VERSIONS = sorted((PROJECT / "migrations/versions").glob("*.py"))
NOT_MODELLED = "subscriber_search"
"""What finds addresses by their parts differs by database; tests/audience tries it."""


@pytest.fixture
def migrated(new_database):
    return new_database("migrated", migrated=True)


def described(database):
    """All that the database says about its tables, in an order that does not depend on it."""
    inspector = sa.inspect(database.engine)
    return {
        table: {
            "columns": {c["name"]: (str(c["type"]), c["nullable"]) for c in columns},
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign": named(inspector.get_foreign_keys(table)),
            "unique": named(inspector.get_unique_constraints(table)),
            "indexes": named(inspector.get_indexes(table)),
            "rowid": inspector.get_table_options(table).get("sqlite_with_rowid", True),
        }
        for (_, table), columns in inspector.get_multi_columns().items()
        if table != "alembic_version" and not table.startswith(NOT_MODELLED)
    }


def named(things):
    return {thing["name"]: {k: in_words(v) for k, v in thing.items()} for thing in things}


def in_words(value):
    """The condition of a partial index is an object of its own each time that it is asked for."""
    if isinstance(value, dict):
        return {key: str(option) for key, option in value.items()}
    return value


def test_migrations_create_the_tables_that_the_models_describe(migrated):
    with migrated.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_name": lambda name, kind, _: not (name or "").startswith(NOT_MODELLED),
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_migrations_create_the_same_keys_names_and_lengths_as_the_models(migrated, new_database):
    """What compare_metadata passes over: keys, names, the length of words, tables without rowid."""
    modelled = new_database("modelled")
    Base.metadata.create_all(modelled.engine)

    assert described(migrated) == described(modelled)


def test_every_table_accepts_a_row(migrated):
    with migrated.engine.begin() as connection:
        fill_with_samples(connection, Base.metadata.sorted_tables)

    with migrated.reading() as session:
        counts = [
            session.scalar(sa.select(sa.func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        ]
    assert counts == [1] * len(Base.metadata.sorted_tables)


def test_every_value_of_an_enum_fits_its_column():
    kinds = {
        column.type
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.Enum)
    }

    assert kinds
    for kind in kinds:
        assert issubclass(kind.enum_class, enum.Enum)
        assert max(len(member.value) for member in kind.enum_class) <= kind.length


def test_downgrading_to_the_beginning_leaves_no_table(migrated):
    command.downgrade(schema.alembic_config(migrated), "base")

    assert set(sa.inspect(migrated.engine).get_table_names()) <= {"alembic_version"}
    assert not schema.is_schema_current(migrated)


def test_downgrading_and_upgrading_again_gives_the_same_schema(migrated):
    before = described(migrated)

    command.downgrade(schema.alembic_config(migrated), "base")
    for _ in range(2):
        schema.upgrade_schema(migrated)

    assert described(migrated) == before
    assert schema.is_schema_current(migrated)


def test_a_database_older_than_the_baseline_is_refused_with_a_message(new_database):
    database = new_database("before")
    with database.transaction() as session:
        session.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        session.execute(sa.text("INSERT INTO alembic_version VALUES ('0021')"))

    for call in (schema.is_schema_current, schema.upgrade_schema):
        with pytest.raises(Misconfigured, match="made by a version of NIF from before its first"):
            call(database)


def test_the_id_of_a_deleted_row_is_not_used_again(migrated):
    """Mails, pages and the audit log name rows that may be gone."""
    numbered = [t for t in Base.metadata.sorted_tables if t.autoincrement_column is not None]
    assert len(numbered) > 20
    with migrated.engine.begin() as connection:
        made = fill_with_samples(connection, Base.metadata.sorted_tables)
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(sa.delete(table))
        again = fill_with_samples(connection, Base.metadata.sorted_tables)

    repeated = [
        t.name
        for t in numbered
        if made[f"{t.name}.{t.autoincrement_column.name}"]
        == again[f"{t.name}.{t.autoincrement_column.name}"]
    ]
    assert repeated == []


def test_an_empty_database_does_not_have_the_newest_schema(new_database):
    assert not schema.is_schema_current(new_database("empty"))


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.name)
def test_a_migration_imports_nothing_from_nif(path):
    tree = ast.parse(path.read_text())
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]

    assert imported
    assert [name for name in imported if name.partition(".")[0] == "nif"] == []


def test_migrations_are_numbered_without_gaps():
    scripts = ScriptDirectory.from_config(Config(toml_file=PROJECT / "pyproject.toml"))
    line = [script.revision for script in scripts.walk_revisions()][::-1]

    assert line == [f"v{n:04}" for n in range(1, len(VERSIONS) + 1)]
    assert [path.name[:6] for path in VERSIONS] == [f"{revision}_" for revision in line]
