"""Ending a list: it is archived and can be taken back; only one that nobody ever joined goes."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Column, Table, select
from sqlalchemy.orm import Session

from nif.database import Base
from nif.errors import Conflict
from nif.subscriptions.models import MailingList

NOT_DELETED = "This list has a history, and what readers agreed to is never deleted with it."


def archive(session: Session, mailing_list: MailingList, *, now: datetime) -> None:
    """End a list: no digest of it is composed any more, and nobody can join.

    Its readers stay as they are. Raises Conflict where it is archived already.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is not None:
        raise Conflict("This list is archived already.")
    mailing_list.archived_at = now
    session.flush()


def take_back(session: Session, mailing_list: MailingList, *, now: datetime) -> None:
    """Have an archived list go on, with its next slot and the news of one period.

    Raises Conflict where it is not archived.
    """
    session.refresh(mailing_list, with_for_update=True)
    if mailing_list.archived_at is None:
        raise Conflict("This list is not archived.")
    mailing_list.archived_at = None
    mailing_list.scheduled_at = mailing_list.news_from = now
    session.flush()


def delete(session: Session, mailing_list: MailingList) -> None:
    """Delete a list of which there is nothing but itself.

    Raises Conflict where anything refers to it, such as a reader, an edition, an import, a consent.
    """
    session.refresh(mailing_list, with_for_update=True)
    if history_of(session, mailing_list):
        raise Conflict(NOT_DELETED)
    session.delete(mailing_list)
    session.flush()


def history_of(session: Session, mailing_list: MailingList) -> list[str]:
    """The names of the tables in which something refers to a list.

    They are found by their foreign keys, or their column's name where a record has none, so that
    one that is yet to come is not forgotten.
    """
    return [
        table.name
        for table, column in _references()
        if session.scalar(select(column).where(column == mailing_list.id).limit(1)) is not None
    ]


def _references() -> Iterator[tuple[Table, Column[int]]]:
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            names = {key.column.table.name for key in column.foreign_keys}
            if MailingList.__tablename__ in names or column.name == "list_id":
                yield table, column
