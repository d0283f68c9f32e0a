"""An edition that asks its readers something: a mail of its own, no news, and in no archive."""

from dataclasses import asdict
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from nif.database import insert_into
from nif.editions.models import ASKING, Edition, EditionState
from nif.editions.writing import hash_of
from nif.mail.message import Message
from nif.subscriptions.models import MailingList


def freeze_asking(
    session: Session, mailing_list: MailingList, message: Message, *, now: datetime
) -> Edition | None:
    """Make the edition that asks; None where a second press made it in the same second."""
    edition_id = session.scalar(
        insert_into(session, Edition)
        .values(
            list_id=mailing_list.id,
            slot=now.astimezone(ZoneInfo(mailing_list.zone)).date(),
            due_at=now,
            made_at=now,
            state=EditionState.FROZEN,
            message=asdict(message),
            content_hash=hash_of(message),
            occasion=f"{ASKING}{int(now.timestamp())}",
        )
        .on_conflict_do_nothing()
        .returning(Edition.id)
    )
    return None if edition_id is None else session.get_one(Edition, edition_id)
