"""A payload names its form, and is recomputed by that form."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.ledger import chain
from nif.ledger.chain import PolicyVersion, record_policies
from nif.ledger.models import LedgerEntry
from nif.ledger.payloads import PayloadForms, UnknownForm
from tests.conftest import NOON

FORMS = PayloadForms[str](
    {1: lambda text: {"text": text}, 2: lambda text: {"text": text, "length": len(text)}}
)
POLICY = PolicyVersion("ethics", 1, "Ethics", "The first version.", date(2026, 1, 1), "Be fair.")


def test_a_new_payload_has_the_newest_form() -> None:
    assert FORMS.write("abc") == {"form": 2, "text": "abc", "length": 3}


@pytest.mark.parametrize("form", [1, 2])
def test_a_record_is_recomputed_in_the_form_of_its_entry(form: int) -> None:
    recomputed = FORMS.recompute("abc", {"form": form, "text": "anything"})

    assert recomputed == {"form": form, "text": "abc", **({"length": 3} if form == 2 else {})}


@pytest.mark.parametrize("recorded", [{}, {"form": 3}, {"form": True}, {"form": [1]}, [], "x", 7])
def test_an_unknown_form_is_reported_as_such(recorded: Any) -> None:
    assert isinstance(FORMS.recompute("abc", recorded), UnknownForm)


def test_a_policy_is_not_recorded_again_because_payloads_gained_a_field(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_policies(session, [POLICY], now=NOON)
    monkeypatch.setattr(
        chain,
        "POLICY_FORMS",
        PayloadForms[PolicyVersion](
            {
                1: chain._build_policy_form_1,
                2: lambda policy: {**chain._build_policy_form_1(policy), "words": 2},
            }
        ),
    )

    assert record_policies(session, [POLICY], now=NOON) == 0
    assert record_policies(session, [replace(POLICY, text="Be kind.")], now=NOON) == 1

    payloads = session.scalars(select(LedgerEntry.payload).order_by(LedgerEntry.seq)).all()
    assert [payload["form"] for payload in payloads] == [1, 2]
