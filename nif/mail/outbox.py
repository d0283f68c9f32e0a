"""The development mailer: mail stays on this machine, where /outbox shows it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ForeignKey, delete, func, insert, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from nif.clock import utc_now
from nif.database import Base, BigId, Transaction, get_row
from nif.mail.message import Message, MessageCopy, fill_placeholders
from nif.mail.provider import BatchRequest, Fence, Mailer
from nif.paging import Page, paginate


class OutboxPost(Base):
    __tablename__ = "outbox_post"

    attempt: Mapped[str] = mapped_column(primary_key=True)
    posted_at: Mapped[datetime]
    message: Mapped[dict[str, Any]]


class OutboxMail(Base):
    __tablename__ = "outbox_mail"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    attempt: Mapped[str] = mapped_column(ForeignKey(OutboxPost.attempt), index=True)
    address: Mapped[str] = mapped_column(index=True)
    copy: Mapped[dict[str, Any]]

    post: Mapped[OutboxPost] = relationship(lazy="joined")

    @property
    def subject(self) -> str:
        return self._filled("subject")

    @property
    def text(self) -> str:
        return self._filled("text")

    @property
    def html(self) -> str:
        return self._filled("html")

    def _filled(self, part: str) -> str:
        return fill_placeholders(self.post.message[part], self.copy["substitutions"])

    @property
    def headers(self) -> dict[str, str]:
        message = self.post.message
        return {
            "From": f"{message['from_name']} <{message['from_address']}>",
            "To": self.address,
            "Subject": self.subject,
            "Date": self.post.posted_at.strftime("%a, %d %b %Y %H:%M:%S +0000"),
            **message["headers"],
            **self.copy["headers"],
        }


class OutboxMailer(Mailer):
    """Stores requests in the database, each in one transaction: as a whole or not at all."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def build_request(
        self,
        message: Message,
        copies: Sequence[MessageCopy],
        *,
        attempt: str,
        fence: Fence | None = None,
    ) -> BatchRequest:
        return BatchRequest(attempt, len(copies), (message, copies))

    def post(self, request: BatchRequest) -> str | None:
        message, copies = cast("tuple[Message, Sequence[MessageCopy]]", request.content)
        with self._transaction() as session:
            session.add(
                OutboxPost(
                    attempt=request.attempt,
                    posted_at=utc_now(),
                    message={**vars(message), "headers": dict(message.headers)},
                )
            )
            session.flush()
            rows = [
                {"attempt": request.attempt, "address": copy.address, "copy": copy._asdict()}
                for copy in copies
            ]
            session.execute(insert(OutboxMail), rows)
        return None

    def was_accepted(self, attempt: str) -> bool | None:
        with self._transaction() as session:
            return session.get(OutboxPost, attempt) is not None


def list_outbox_mails(
    session: Session, *, after: str | None = None, size: int = 50
) -> Page[OutboxMail]:
    return paginate(session, select(OutboxMail), OutboxMail.id, after=after, size=size)


def get_outbox_mail(session: Session, mail_id: int) -> OutboxMail:
    """Raises NotFound."""
    return get_row(session, OutboxMail, mail_id, "There is no such mail in the outbox.")


def delete_outbox_mails_to(session: Session, canonical: str) -> None:
    session.execute(delete(OutboxMail).where(func.lower(OutboxMail.address) == canonical))
