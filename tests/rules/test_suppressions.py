"""Suppressions are made and end at one door, where counters and the provider's copy follow."""

import ast
import re

from tests.rules.source import modules

DOORS = {"nif/subscriptions/suppression_list.py"}
WRITES = re.compile(
    r"\b(insert_into\(session, |insert\(|update\(|delete\()(table_of\()?Suppression\)"
    r"|[^\w.]Suppression\("
)


def test_only_their_own_modules_write_suppressions() -> None:
    found = {path for path, tree in modules().items() if WRITES.search(ast.unparse(tree))}

    # The model itself begins like a call.
    assert found - {"nif/subscriptions/models.py"} == DOORS
