"""Every table that holds something of a reader: what an export shows, and what erasure does.

It is the one place that says so. A test goes through all tables, and fails where one that refers
to a subscriber, or has a column for an address, is missing here.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from nif.importing.models import ImportProblem
from nif.rights import holdings, mailings
from nif.rights.holdings import Rows
from nif.rights.people import Person
from nif.sends.chores import Chore
from nif.sends.models import Attempt, Send


@dataclass(frozen=True)
class Holding:
    """`show` gives what an export shows of a person, `forget` does what erasure does.

    What has an address only in passing, among words about something else or hashed, shows nothing.

    `table` is where it is kept, `what` names it for the reader, `erasure` says what is done.
    """

    table: str
    what: str
    erasure: str
    show: Callable[[Session, Person], Rows] | None
    forget: Callable[[Session, Person], None]


HOLDINGS = (
    Holding(
        *("consent", "Receipts: what you agreed to, and when", "deleted"),
        *(holdings.show_consents, holdings.forget_consents),
    ),
    Holding(
        *("subscription", "The newsletters you asked for", "deleted, and counted no more"),
        *(holdings.show_subscriptions, holdings.forget_subscriptions),
    ),
    Holding(
        *("subscription_topic", "The topics you chose of them", "deleted"),
        *(holdings.show_topics, holdings.forget_topics),
    ),
    Holding(
        *("address_change", "A new address that waits to be confirmed", "deleted"),
        *(holdings.show_address_change, holdings.forget_address_change),
    ),
    Holding(
        *("delivery", "The mails that were planned for you"),
        "kept without anybody behind its number, so that past sends still add up",
        *(mailings.show_deliveries, mailings.forget_deliveries),
    ),
    Holding(
        *("event", "What our mail provider reported about those mails"),
        "kept without what it says, under a number with nobody behind it",
        *(mailings.show_events, mailings.forget_events),
    ),
    Holding(
        *("event_post", "Reports of the mail provider that wait to be read"),
        "the address is taken out",
        *(None, mailings.forget_posts),
    ),
    Holding(
        *("letter", "Single mails that we wrote to you in the last 30 days", "deleted"),
        *(mailings.show_letters, mailings.forget_letters),
    ),
    Holding(
        *("outbox_mail", "Mails in the outbox of a trial installation", "deleted"),
        *(mailings.show_outbox, mailings.forget_outbox),
    ),
    Holding(
        *("import_row", "Files that staff brought you in with", "deleted"),
        *(holdings.show_imports, holdings.forget_imports),
    ),
    Holding(
        *("import_problem", "Rows of such a file that could not be taken"),
        "the address is taken out, of files that wait too",
        *(None, mailings.forget_troubles(ImportProblem.cell)),
    ),
    Holding(
        *("segment", "Conditions that staff saved to find readers by"),
        "the address is taken out",
        *(None, mailings.forget_segments),
    ),
    Holding(
        *("reader_report", "Errors you told us of, with your address to answer to"),
        "kept without the address",
        *(mailings.show_reports, mailings.forget_reports),
    ),
    Holding(
        *("attempt", "Words of the mail provider about a whole batch"),
        "the address is taken out",
        *(None, mailings.forget_troubles(Attempt.why)),
    ),
    Holding(
        *("send", "Why a send was stopped"),
        "the address is taken out",
        *(None, mailings.forget_troubles(Send.trouble)),
    ),
    Holding(
        *("chore", "Why a daily task failed"),
        "the address is taken out",
        *(None, mailings.forget_troubles(Chore.trouble)),
    ),
    Holding(
        *("sign_up", "What was asked for in your name at our forms, and not answered yet"),
        "deleted",
        *(holdings.show_sign_ups, holdings.forget_sign_ups),
    ),
    Holding(
        *("sign_up_refusal", "That you said it was not you who asked", "deleted"),
        *(holdings.show_refusal, holdings.forget_refusal),
    ),
    Holding(
        *("tally", "How often something was asked for, under a hash", "deleted"),
        *(None, holdings.forget_tallies),
    ),
    Holding(
        *("suppression", "Whether and why we must not write to you"),
        "replaced by a keyed hash, so that nobody mails you after a later import",
        *(holdings.show_suppression, holdings.forget_suppression),
    ),
    Holding(
        *("subscriber", "Your address, since when we have it, and your pause", "deleted"),
        *(holdings.show_subscriber, holdings.forget_subscriber),
    ),
)
"""In the order in which they are let go: what refers to a subscriber before the subscriber."""

NOT_OF_READERS = {
    "account": "people who work here sign in with it",
    "profile": "what people who work here publish of themselves",
}
"""Tables with a column for an address that is nobody's who reads."""
