import pytest

from nif.errors import Invalid
from nif.subscribers.segments import (
    CONDITION_CATALOGUE,
    MAX_CONDITIONS,
    ConditionValueKind,
    parse_conditions,
)

GOOD = {"field": "list", "operator": "confirmed", "value": "daily"}
VALUES = {
    ConditionValueKind.PART: "ann@",
    ConditionValueKind.LIST: "daily",
    ConditionValueKind.DAY: "2026-11-20",
    ConditionValueKind.REASON: "any",
    ConditionValueKind.SOURCE: "/subscribe",
}


def test_every_catalogue_entry_survives_parsing_and_serialising():
    for (field, operator), definition in CONDITION_CATALOGUE.items():
        row = {"field": field, "operator": operator, "value": VALUES[definition.value_kind]}
        data = {"match": "any", "conditions": [row]}
        assert parse_conditions(data, lists=["daily"]).as_data() == data
        if definition.negates:
            assert (field, definition.negates) in CONDITION_CATALOGUE


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {"match": "all"},
        {"match": "none", "conditions": []},
        {"match": [], "conditions": []},
        {"match": "all", "conditions": {}},
        {"match": "all", "conditions": ["x"]},
        {"match": "all", "conditions": [GOOD] * (MAX_CONDITIONS + 1)},
        {"match": "all", "conditions": [], "sql": "DROP"},
    ],
)
def test_data_that_is_no_segment_is_refused_as_a_whole(data):
    with pytest.raises(Invalid) as refused:
        parse_conditions(data, lists=["daily"])
    assert set(refused.value.problems) == {"conditions"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": "weekly"}, "Choose one of the lists"),
        ({"value": 5}, "texts"),
        ({"more": "x"}, "nothing else"),
        ({"field": "password"}, "no such condition"),
        ({"operator": "since"}, "no such condition"),
        ({"field": "address", "operator": "contains", "value": " ab "}, "at least 3"),
        ({"field": "address", "operator": "contains", "value": "a\0bc"}, "plain"),
        ({"field": "address", "operator": "contains", "value": "a" * 301}, "at most 300"),
        ({"field": "joined", "operator": "since", "value": "2026-02-30"}, "Enter a day"),
        ({"field": "joined", "operator": "since", "value": "0001-01-01"}, "Enter a day"),
        ({"field": "suppressed", "operator": "because", "value": "bored"}, "Choose a reason"),
        ({"field": "source", "operator": "is", "value": ""}, "Enter the source"),
    ],
)
def test_a_wrong_condition_is_reported_for_its_row(change, words):
    with pytest.raises(Invalid) as refused:
        parse_conditions(
            {"match": "all", "conditions": [GOOD, {**GOOD, **change}]}, lists=["daily"]
        )
    assert set(refused.value.problems) == {"value-1"}
    assert words in refused.value.problems["value-1"]
