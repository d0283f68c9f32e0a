import base64
import json
from datetime import timedelta

import pytest
from altcha import Challenge, Payload, solve_challenge
from sqlalchemy import select

from nif.clock import utc_now
from nif.signups import attack_mode
from nif.signups.models import UsedProofOfWork

KEYS = [b"the key", b"an older key"]


def solved(keys=KEYS, ticket="a ticket", **given):
    challenge = Challenge.from_dict(
        json.loads(attack_mode.make_challenge(keys, ticket, now=utc_now()))
    )
    solution = solve_challenge(challenge)
    for name, value in given.items():
        setattr(challenge.parameters, name, value)
    return Payload(challenge, solution).to_base64()


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    monkeypatch.setattr(attack_mode, "COST", 20)


def accepts(session, proof, *, ticket="a ticket", now=None):
    return attack_mode.accept_proof(session, KEYS, ticket, proof, now=now or utc_now())


def test_a_proof_is_accepted_once_and_for_its_form(session):
    proof = solved()

    assert not accepts(session, proof, ticket="another ticket")
    assert accepts(session, proof)
    assert not accepts(session, proof)
    assert accepts(session, solved()), "another one for the same form is good"
    assert accepts(session, solved(KEYS[1:])), "of an older key too"


def test_a_proof_is_valid_for_two_hours_and_stored_no_longer(session):
    proof, now = solved(), utc_now()

    assert not accepts(session, proof, now=now + attack_mode.VALID_FOR + timedelta(seconds=5))
    assert accepts(session, proof, now=now)
    attack_mode.delete_expired_proofs(session, now=now + timedelta(hours=1))
    assert not accepts(session, proof, now=now)
    attack_mode.delete_expired_proofs(session, now=now + timedelta(hours=3))
    assert session.scalars(select(UsedProofOfWork)).all() == []


def test_a_forged_or_an_easier_challenge_is_refused(session):
    proofs = [solved([b"another key"]), solved(cost=1), solved(key_prefix=""), solved(expires_at=0)]
    proofs += [solved(data=None), solved(algorithm="SHA-256"), solved(nonce="zz")]

    assert not any(accepts(session, proof) for proof in proofs)


JUNK = ["", "x", "e30=", "AAAA", "[]", "x" * 100_000, "bnVsbA==", "W10=", '{"challenge": 1}', "é"]
DEEP = {"challenge": {"parameters": {"data": {"form": "a ticket"}}}, "solution": {}}


@pytest.mark.parametrize("junk", [*JUNK, *(json.dumps(one) for one in (DEEP, [DEEP], None, 7))])
def test_a_malformed_proof_is_refused_without_an_error(session, junk):
    assert not accepts(session, junk)
    assert not accepts(session, base64.b64encode(junk.encode()).decode())
