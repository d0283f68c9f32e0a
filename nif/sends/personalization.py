"""Making the readers' copies: all that differs from one to the next, made in bulk."""

import html
from collections.abc import Callable, Iterable
from datetime import datetime

from nif.editions.messages import (
    ANSWER_PLACEHOLDER,
    PREFERENCES_PLACEHOLDER,
    READER_HTML_PLACEHOLDER,
    READER_PLACEHOLDER,
    UNSUBSCRIBE_PLACEHOLDER,
)
from nif.links import Links
from nif.mail.message import MessageCopy
from nif.sends.repermission import AnswerLinks
from nif.subscriptions.preferences import preferences_tokens
from nif.subscriptions.unsubscribe import list_unsubscribe_headers, unsubscribe_tokens
from nif.tokens import Tokens

SubscriberAddress = tuple[int, str]
Personalizer = Callable[[Iterable[SubscriberAddress], datetime], list[MessageCopy]]
"""Of readers and the moment of their attempt."""


def make_personalizer(
    send: tuple[int, int], links: Links, tokens: Tokens, answers: AnswerLinks | None = None
) -> Personalizer:
    """A function that makes the copies of a send, by its id and its list's, for some readers.

    What they have in common is worked out once; the rest is four microseconds a reader, of which
    the signatures of the two links are most.
    """
    send_id, list_id = send
    unsubscribe = unsubscribe_tokens(list_id, tokens)
    preferences = preferences_tokens(tokens)
    leave_at, prefer_at = links.unsubscribe(""), links.preferences("")
    mark = f"{send_id}."

    def copy(reader: SubscriberAddress) -> MessageCopy:
        subscriber_id, address = reader
        leave = leave_at + unsubscribe(subscriber_id)
        return MessageCopy(
            address,
            {"nif_d": mark + str(subscriber_id)},
            list_unsubscribe_headers(leave),
            {
                UNSUBSCRIBE_PLACEHOLDER: leave,
                PREFERENCES_PLACEHOLDER: prefer_at + preferences(subscriber_id),
                READER_PLACEHOLDER: address,
                READER_HTML_PLACEHOLDER: html.escape(address),
            },
        )

    if answers is None:
        return lambda readers, _at: [copy(reader) for reader in readers]
    return _with_answer_links(copy, answers)


def _with_answer_links(
    copy: Callable[[SubscriberAddress], MessageCopy], answers: AnswerLinks
) -> Personalizer:
    """Copies with a link to answer by, of which the moment of the attempt is a part."""

    def make(readers: Iterable[SubscriberAddress], at: datetime) -> list[MessageCopy]:
        answer = answers(at)
        copies = []
        for reader in readers:
            made = copy(reader)
            made.substitutions[ANSWER_PLACEHOLDER] = answer(reader[0])
            copies.append(made)
        return copies

    return make
