"""Making each subscriber's copy of a mail: what differs from one to the next, in bulk."""

import html
from collections.abc import Callable, Sequence
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
"""The id and address of a subscriber."""

Personalizer = Callable[[Sequence[SubscriberAddress], datetime], list[MessageCopy]]
"""Makes the copies for some subscribers, given the time of their attempt."""


def make_personalizer(
    send: tuple[int, int], links: Links, tokens: Tokens, answer_links: AnswerLinks | None = None
) -> Personalizer:
    """A function that makes the copies of a send (its id and its list's) for some subscribers.

    What the copies have in common is computed once. The rest takes four microseconds a subscriber,
    most of it for the signatures of two links.
    """
    send_id, list_id = send
    unsubscribe = unsubscribe_tokens(list_id, tokens)
    preferences = preferences_tokens(tokens)
    unsubscribe_at, preferences_at = links.unsubscribe(""), links.preferences("")
    delivery_prefix = f"{send_id}."

    def copy(subscriber: SubscriberAddress) -> MessageCopy:
        subscriber_id, address = subscriber
        unsubscribe_link = unsubscribe_at + unsubscribe(subscriber_id)
        return MessageCopy(
            address,
            {"nif_d": delivery_prefix + str(subscriber_id)},
            list_unsubscribe_headers(unsubscribe_link),
            {
                UNSUBSCRIBE_PLACEHOLDER: unsubscribe_link,
                PREFERENCES_PLACEHOLDER: preferences_at + preferences(subscriber_id),
                READER_PLACEHOLDER: address,
                READER_HTML_PLACEHOLDER: html.escape(address),
            },
        )

    def personalize(subscribers: Sequence[SubscriberAddress], at: datetime) -> list[MessageCopy]:
        copies = [copy(subscriber) for subscriber in subscribers]
        if answer_links is not None:
            # The link to answer a re-permission mail contains the time of the attempt.
            answer_link = answer_links(at)
            for (subscriber_id, _), personal in zip(subscribers, copies, strict=True):
                personal.substitutions[ANSWER_PLACEHOLDER] = answer_link(subscriber_id)
        return copies

    return personalize
