"""Light checks are quicker than the rules, and no more lenient."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.standin import json_types, rules
from tests.standin.account import Account
from tests.standin.sample_mail import mail, reader
from tests.standin.test_rules import CASES


def test_mail_as_nif_posts_it_has_only_the_expected_json_types() -> None:
    assert json_types.is_plain(mail(*(reader(n) for n in range(1000))))


def test_mail_with_values_that_may_be_too_large_gets_the_full_checks() -> None:
    assert not json_types.is_plain(mail({**reader(1), "custom_args": {"key": "v" * 201}}))
    assert not json_types.is_plain(mail(reader(1), custom_args={"key": "v" * 201}))


@pytest.mark.parametrize(("body", "field", "_message"), CASES)
def test_light_checks_refuse_what_full_checks_refuse(
    body: dict[str, Any], field: str | None, _message: str
) -> None:
    answer = rules.check_mail(body, Account(asm_groups={1}), plain=json_types.is_plain(body))

    assert answer is not None
    assert field in {error["field"] for error in orjson.loads(answer.body)["errors"]}
