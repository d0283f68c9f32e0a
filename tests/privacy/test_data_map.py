"""Every table that refers to a reader is in the data map."""

import re

from sqlalchemy import Table

from nif.database import Base
from nif.privacy.data_map import DATA_MAP, STAFF_TABLES

AN_ADDRESS = re.compile(
    r"(^|_)(e?mail|address|canonical|contact|(?<!first_)(?<!last_)subscriber_id|recipient)$"
)
"""The first and last id of a range of subscribers are bounds, and refer to nobody."""


def refers_to_a_reader(table: Table) -> bool:
    keys = {key.column.table.name for key in table.foreign_keys}
    return "subscriber" in keys or any(AN_ADDRESS.search(one.name) for one in table.columns)


def test_every_table_that_refers_to_a_reader_is_in_the_data_map() -> None:
    named = {one.table for one in DATA_MAP} | set(STAFF_TABLES)
    referring = {name for name, table in Base.metadata.tables.items() if refers_to_a_reader(table)}

    assert {
        "subscription",
        "consent",
        "delivery",
        "transactional_email",
        "suppression",
    } <= referring
    assert referring - named == set(), "add these to nif/privacy/data_map.py"


def test_the_data_map_names_existing_tables_once_each() -> None:
    named = [one.table for one in DATA_MAP] + list(STAFF_TABLES)

    assert set(named) <= set(Base.metadata.tables)
    assert len(named) == len(set(named))


def test_the_pattern_finds_columns_with_addresses() -> None:
    assert all(AN_ADDRESS.search(name) for name in ("email", "address", "reply_address", "contact"))
    assert not any(AN_ADDRESS.search(name) for name in ("addressed_at", "emailed", "subject"))
