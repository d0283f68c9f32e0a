"""The checks on forms that make NIF mail an address: a ticket, a honeypot, and proof of work.

Proof of work is asked for during an attack. A sign-up that fails a check gets the same page as any
other, and is held instead of mailed. A form on another site has a key instead of a ticket.
"""

from time import time
from urllib.parse import urlsplit

from flask import request

from nif.clock import utc_now
from nif.errors import NotFound
from nif.signups import attack_mode
from nif.signups.models import NO_LIST, HoldReason, SignupKind
from nif.signups.requests import SignupRequest, queue_signup
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.models import MailingList
from nif.tokens import TokenPurpose
from nif.web.current import reading, settings, tokens, transaction
from nif.web.forms import EmailLine, Form, Hidden, Tick
from nif.web.public.page_cache import make_form_ticket

MIN_FORM_SECONDS = 2
MAX_FORM_SECONDS = 30 * 24 * 3600

MAX_ORIGIN_LENGTH = 100
UNKNOWN_SITE = "another site"
"""Stands for the site of a form where the browser does not name it."""

INCOMPLETE_FORM = "The form was incomplete. Nothing is lost: press the button again."
FORM_EXPIRED = "This page was open for a long time. Press the button again."
TOO_QUICK = "That was quick! Press the button again, so that we know you are a person."


class TicketForm(Form):
    """A form of readers. `website` is the honeypot, a field that people do not see."""

    ticket = Hidden(most=2000)
    website = Tick(false_values=("",))

    @property
    def ticket_problem(self) -> str:
        """Why the form was not handed out within the last month; empty where it was."""
        age = self.ticket_age
        if age is None:
            return INCOMPLETE_FORM
        return FORM_EXPIRED if age > MAX_FORM_SECONDS else ""

    @property
    def is_too_quick(self) -> bool:
        return (self.ticket_age or 0) < MIN_FORM_SECONDS

    @property
    def ticket_age(self) -> float | None:
        """Seconds since the form was handed out; None for an invalid ticket."""
        try:
            handed_out, _ = tokens().open(TokenPurpose.FORM_TICKET, self.ticket.data)
        except NotFound:
            return None
        return time() - handed_out


class GuardedForm(TicketForm):
    """A form that makes NIF mail an address. `challenge` is empty where no proof is needed."""

    email = EmailLine("Your email address")
    challenged = Tick()
    altcha = Hidden(most=10_000)
    challenge = ""

    def hand_out(self) -> None:
        """Give the form what it needs to be shown.

        A form that is shown again keeps its ticket, so that pressing its button at once does not
        count as too fast.
        """
        if self.ticket_problem:
            self.ticket.data = make_form_ticket()
        if is_under_attack():
            self.challenge = attack_mode.make_challenge(
                tokens().keys, self.ticket.data, now=utc_now()
            )

    def must_ask_for_proof(self) -> bool:
        """Is proof needed now, while the submitted form came from a page that did not ask for it?

        Pages with a form are cached in memory and by browsers, so an attack does not change them.
        During one, the form is shown again, filled in, with a challenge.
        """
        return not self.challenged.data and is_under_attack()

    def submit(
        self,
        kind: SignupKind,
        where: ConsentContext,
        list_id: int = NO_LIST,
        *,
        has_key: bool = False,
    ) -> None:
        """Queue the sign-up for the worker, or hold it where a check failed.

        The worker is not woken: it looks every few seconds, and so the time of the response reveals
        nothing about the address. `has_key` says that the form was on another site, where it cannot
        tell when it was shown.
        """
        now, hold_reason = utc_now(), None
        if self.website.data:
            hold_reason = HoldReason.HONEYPOT
        elif not has_key and self.is_too_quick:
            hold_reason = HoldReason.TOO_FAST
        with transaction() as session:
            if hold_reason is None and attack_mode.find_active_attack_mode(session, now=now):
                ticket, proof = self.ticket.data, self.altcha.data
                if not attack_mode.accept_proof(session, tokens().keys, ticket, proof, now=now):
                    hold_reason = HoldReason.NO_PROOF
            signup = SignupRequest(kind, self.email.address, where, list_id, hold_reason)
            queue_signup(session, signup, now=now)


def is_under_attack() -> bool:
    with reading() as session:
        return attack_mode.find_active_attack_mode(session, now=utc_now()) is not None


def find_other_site(*, has_key: bool) -> str:
    """The other site whose form was sent, such as `https://example.com`; empty for this site's.

    The browser names it in `Origin`, which is never a whole address.
    """
    try:
        origin = urlsplit(request.headers.get("Origin", ""))
        is_this_site = origin.netloc in {request.host, urlsplit(settings().base_url).netloc}
        if origin.scheme in {"http", "https"} and origin.hostname and not is_this_site:
            return f"{origin.scheme}://{origin.netloc}"[:MAX_ORIGIN_LENGTH]
    except ValueError:
        pass
    return UNKNOWN_SITE if has_key else ""


def is_embed_key_of(key: str, mailing_list: MailingList) -> bool:
    """Is this the key of a list's form for other sites?

    It takes the place of a ticket, because such a form cannot tell when it was shown.
    """
    try:
        return tokens().open(TokenPurpose.EMBED, key)[0] == mailing_list.id
    except NotFound:
        return False
