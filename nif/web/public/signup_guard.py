"""The checks on forms that make NIF mail an address: a ticket, a honeypot, and proof of work.

Proof of work is asked for during an attack. A sign-up that fails a check gets the same page as any
other, and is held instead of mailed. A form on another site has a key instead of a ticket.
"""

from time import time
from urllib.parse import urlsplit

from flask import request

from nif.clock import utc_now
from nif.errors import NotFound
from nif.signups import attack_mode, proof_of_work
from nif.signups.models import NO_LIST, HoldReason, SignupKind
from nif.signups.requests import SignupRequest, queue_signup
from nif.subscriptions.consent import ConsentContext
from nif.subscriptions.email_address import EmailAddress
from nif.subscriptions.models import MailingList
from nif.tokens import TokenPurpose
from nif.web.current import reading, settings, tokens, transaction
from nif.web.public.page_cache import make_form_ticket

MIN_FORM_SECONDS = 2
MAX_FORM_SECONDS = 30 * 24 * 3600

MAX_ORIGIN_LENGTH = 100
UNKNOWN_SITE = "another site"
"""Stands for the site of a form where the browser does not name it."""

INCOMPLETE_FORM = "The form was incomplete. Nothing is lost: press the button again."
FORM_EXPIRED = "This page was open for a long time. Press the button again."
TOO_QUICK = "That was quick! Press the button again, so that we know you are a person."


def signup_form_fields() -> dict[str, str]:
    """The template variables of such a form; `challenge` is empty where no proof is needed.

    A form that is shown again keeps its ticket, so that pressing its button at once does not
    count as too fast.
    """
    form_ticket = make_form_ticket() if find_form_problem() else request.form["ticket"]
    challenge = ""
    if is_under_attack():
        challenge = proof_of_work.make_challenge(tokens().keys, form_ticket, now=utc_now())
    return {"form_ticket": form_ticket, "challenge": challenge}


def is_under_attack() -> bool:
    with reading() as session:
        return attack_mode.find_active_attack_mode(session, now=utc_now()) is not None


def must_ask_for_proof() -> bool:
    """Is proof needed now, while the submitted form came from a page that did not ask for it?

    Pages with a form are cached in memory and by browsers, so an attack does not change them.
    During one, the form is shown again, filled in, with a challenge.
    """
    return "challenged" not in request.form and is_under_attack()


def submit_signup(
    kind: SignupKind,
    address: EmailAddress,
    where: ConsentContext,
    list_id: int = NO_LIST,
    *,
    has_key: bool = False,
) -> None:
    """Queue a sign-up for the worker, or hold it where a check failed.

    The worker is not woken: it looks every few seconds, and so the time of the response reveals
    nothing about the address. `has_key` says that the form was on another site, where it cannot
    tell when it was shown.
    """
    now = utc_now()
    with transaction() as session:
        hold_reason = _find_suspicion(has_key=has_key)
        if (
            hold_reason is None
            and attack_mode.find_active_attack_mode(session, now=now) is not None
        ):
            ticket, proof = request.form.get("ticket", ""), request.form.get("altcha", "")
            is_proved = proof_of_work.accept_proof(session, tokens().keys, ticket, proof, now=now)
            hold_reason = None if is_proved else HoldReason.NO_PROOF
        queue_signup(session, SignupRequest(kind, address, where, list_id, hold_reason), now=now)


def find_form_problem() -> str:
    """Why the form was not handed out within the last month; empty where it was."""
    age = _ticket_age(request.form.get("ticket", ""))
    if age is None:
        return INCOMPLETE_FORM
    return FORM_EXPIRED if age > MAX_FORM_SECONDS else ""


def find_ticket_problem(ticket: str) -> str:
    """The same for a form that mails nothing; it also says when it was sent too fast."""
    age = _ticket_age(ticket)
    if age is None:
        return INCOMPLETE_FORM
    if age < MIN_FORM_SECONDS:
        return TOO_QUICK
    return FORM_EXPIRED if age > MAX_FORM_SECONDS else ""


def _find_suspicion(*, has_key: bool) -> HoldReason | None:
    """Whether the way the form was filled in suggests a program."""
    if request.form.get("website"):
        # The honeypot: a field that people do not see.
        return HoldReason.HONEYPOT
    if has_key:
        return None
    age = _ticket_age(request.form.get("ticket", ""))
    return HoldReason.TOO_FAST if age is None or age < MIN_FORM_SECONDS else None


def _ticket_age(ticket: str) -> float | None:
    """Seconds since a ticket was handed out; None for an invalid one."""
    try:
        handed_out, _ = tokens().open(TokenPurpose.FORM_TICKET, ticket)
    except NotFound:
        return None
    return time() - handed_out


def find_other_site() -> str:
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
    return UNKNOWN_SITE if "key" in request.form else ""


def is_embed_key_of(key: str, mailing_list: MailingList) -> bool:
    """Is this the key of a list's form for other sites?

    It takes the place of a ticket, because such a form cannot tell when it was shown.
    """
    try:
        return tokens().open(TokenPurpose.EMBED, key)[0] == mailing_list.id
    except NotFound:
        return False
