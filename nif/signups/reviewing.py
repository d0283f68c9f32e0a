"""What is held, for the page on which a person decides about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from nif.errors import NotFound
from nif.signups.models import HeldTally, SignUp, Why
from nif.subscriptions.models import MailingList

PAGE = 50


@dataclass(frozen=True)
class Held:
    """A sign-up that is held, and the title of the list that it is for, if any."""

    sign_up: SignUp
    title: str | None


@dataclass(frozen=True)
class HeldPage:
    """Some of them, newest first, and the id that the next page begins below."""

    rows: Sequence[Held]
    before: int | None


def tallies(session: Session) -> list[HeldTally]:
    """How many are held for each reason, where there are any or had no room; most first."""
    some = select(HeldTally).where((HeldTally.held > 0) | (HeldTally.beyond > 0))
    return list(session.scalars(some.order_by(HeldTally.held.desc(), HeldTally.why)))


def held(session: Session, why: Why, *, before: int | None = None) -> HeldPage:
    """A page of what is held for a reason. Raises NotFound for a place that cannot be."""
    query = (
        select(SignUp, MailingList.title)
        .outerjoin(MailingList, MailingList.id == SignUp.list_id)
        .where(SignUp.why == why)
    )
    if before is not None:
        if not 0 < before < 2**63:
            raise NotFound("There is no such page.")
        query = query.where(SignUp.id < before)
    found = session.execute(query.order_by(SignUp.id.desc()).limit(PAGE + 1)).all()
    rows = [Held(sign_up, title) for sign_up, title in found[:PAGE]]
    return HeldPage(rows, rows[-1].sign_up.id if len(found) > PAGE else None)
