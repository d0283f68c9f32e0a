"""Mailing lists: overview, page of a list, its settings, embed code, archiving and deletion.

The overview also warns of problems of the whole system, and has the buttons that end them.
"""

from calendar import day_name
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from nif.accounts.audit_log import describe_change
from nif.clock import utc_now
from nif.editions.archive import list_recent_editions
from nif.editions.digest import find_digest, find_digest_taken_back, next_slot_of_list
from nif.editions.schedule import WEEKDAYS, Slot, parse_schedule
from nif.errors import Invalid
from nif.mail.transactional import list_undeliverable_emails
from nif.sends import canaries, circuit_breaker, periodic_tasks, provider_events, suppression_sync
from nif.sends.control import archive_list
from nif.sends.reports import (
    list_failed_event_posts,
    list_sends,
    list_sends_needing_attention,
    list_unfinished_sends,
)
from nif.sends.unknown_attempts import list_unknown_attempts
from nif.signups import attack_mode
from nif.stories.publishing import invalidate_pages
from nif.stories.queries import list_most_used_tags, parse_tags, tag_names_of
from nif.subscriptions import lists
from nif.subscriptions.models import MailingList
from nif.tokens import TokenPurpose
from nif.web.access import Access, page_view
from nif.web.admin import next_digest, send_status
from nif.web.admin.sends import send_rows
from nif.web.current import links, reading, services, settings, tokens
from nif.web.forms import Choice, Form, Hidden, Line, Tick
from nif.web.staff_actions import StaffAction, staff_action

blueprint = Blueprint("admin_lists", __name__, url_prefix="/admin")
blueprint.register_blueprint(next_digest.blueprint)

SENDS_SHOWN_PER_LIST = 3
HISTORY_LABELS = {
    "subscription": "current and former subscribers",
    "consent": "records of consent",
    "edition": "editions",
    "import_run": "imports",
    "daily_list_count": "daily statistics",
}
"""Labels of the tables that may refer to a list; others are called "other records"."""

FRAME_HEIGHT = 440
"""Height in pixels that the form needs in a column of 280 pixels. The frame has no border, so
unused height is invisible."""

PAUSED_SENDS = {
    1: "A send that was under way is paused: resume or cancel it.",
    2: "{} sends that were under way are paused: resume or cancel them.",
}
"""What an admin is told who archives a list, by how many sends: one, or several."""

EVERY_DAY = "daily"
FREQUENCIES = {EVERY_DAY: "Every day"} | {
    weekday: f"Every {name}" for weekday, name in zip(WEEKDAYS, day_name, strict=True)
}
RESERVED_SLUGS = frozenset({"new"})
"""Slugs that would collide with addresses of the admin pages."""


class ListForm(Form):
    """`at` is a time such as 07:30, `topics` are names separated by commas."""

    title = Line("Title", most=lists.MAX_LENGTHS["title"])
    slug = Line("Slug", most=lists.MAX_LENGTHS["slug"])
    description = Line("Description", most=lists.MAX_LENGTHS["description"])
    sender_name = Line("Sender name", most=lists.MAX_LENGTHS["sender_name"])
    language = Choice("Language", lists.LANGUAGES, empty="Default")
    frequency = Choice("Days", FREQUENCIES, default=EVERY_DAY)
    at = Line("Time", default="07:30")
    zone = Line("Time zone", most=60)
    topics = Line("Topics", most=1000)
    is_shown = Tick("Show it on the site", default=True)
    family = Line("Family", most=lists.MAX_LENGTHS["family"])
    version = Hidden()

    @classmethod
    def of_list(cls, session: Session, mailing_list: MailingList) -> "ListForm":
        schedule = parse_schedule(mailing_list.schedule)
        return cls(
            obj=mailing_list,
            frequency=EVERY_DAY if schedule.weekday is None else WEEKDAYS[schedule.weekday],
            at=f"{schedule.at:%H:%M}",
            topics=", ".join(tag_names_of(session, mailing_list.tags).values()),
        )

    def list_settings(self, session: Session, *, slug: str) -> lists.ListSettings:
        """Raises Invalid with the problems of all fields at once."""
        problems: dict[str, str] = {}
        schedule, topics = "", tuple[str, ...]()
        is_daily = self.frequency.data == EVERY_DAY
        days = EVERY_DAY if is_daily else f"weekly {self.frequency.data}"
        try:
            schedule = str(parse_schedule(f"{days} {self.at.data}"))
        except Invalid:
            problems["at"] = "Give a time of day such as 07:30."
        try:
            topics = parse_tags(session, self.topics.data)
        except Invalid as error:
            problems |= error.problems
        as_typed = ("title", "zone", "description", "sender_name", "is_shown")
        list_settings = lists.ListSettings(
            **{name: self[name].data for name in as_typed},
            slug=slug,
            schedule=schedule,
            family=self.family.data or None,
            language=self.language.data or "",
            tags=topics,
        )
        found = lists.list_settings_problems(list_settings)
        if "tags" in found:
            found["topics"] = found.pop("tags")
        if problems := found | problems:
            raise Invalid(problems)
        return list_settings

    def compare_with(self, stored: "ListForm") -> None:
        """Show beside each field that differs what is stored now, which saving overwrites."""
        for field in self:
            value = stored[field.name].data or ""
            if field.name in {"slug", "version"} or (field.data or "") == value:
                continue
            if field.name == "is_shown":
                words = "ticked." if value else "not ticked."
            else:
                label = field.labels.get(value, value) if isinstance(field, Choice) else value
                words = f"“{label}”" if value else "nothing."
            field.errors.append(f"Stored now: {words}")
        self.version.data = stored.version.data


@page_view(blueprint, Access.ADMIN, "/")
def index(session: Session) -> str:
    now = utc_now()
    mailing_lists = lists.all_lists(session)
    sends = [
        send
        for mailing_list in mailing_lists
        for send in list_sends(session, mailing_list.id, most=SENDS_SHOWN_PER_LIST)
    ]
    rows = send_rows(session, sends)
    overview = [
        (
            mailing_list,
            _next_slot(session, mailing_list, now),
            [row for row in rows if row["send"].list_id == mailing_list.id],
        )
        for mailing_list in mailing_lists
    ]
    return render_template(
        "admin/lists/index.html",
        needing_attention=send_rows(session, list_sends_needing_attention(session, now=now)),
        lists=overview,
        warnings=find_system_warnings(session, now=now),
    )


@page_view(blueprint, Access.ADMIN, "/lists/<slug>")
def show(session: Session, slug: str) -> str:
    now = utc_now()
    mailing_list = lists.get_list(session, slug)
    next_slot = _next_slot(session, mailing_list, now)
    sends = send_rows(session, list_sends(session, mailing_list.id))
    return render_template(
        "admin/lists/show.html",
        mailing_list=mailing_list,
        next_slot=next_slot,
        digest=next_digest.compose_if_active(session, mailing_list, next_slot, now),
        taken_back=find_digest_taken_back(session, mailing_list),
        editions=list_recent_editions(session, mailing_list),
        sends={row["send"].edition_id: row for row in sends},
        slot_labels=send_status.SLOT_LABELS,
        topics=list(tag_names_of(session, mailing_list.tags).values()),
        languages=lists.LANGUAGES,
    )


def _next_slot(session: Session, mailing_list: MailingList, now: datetime) -> Slot:
    """The next slot to fill. Today's may be filled already, by a manual send."""
    slot = next_slot_of_list(mailing_list, now=now)
    is_filled = find_digest(session, mailing_list, slot.day) is not None
    return next_slot_of_list(mailing_list, now=slot.due_at) if is_filled else slot


def _form_page(session: Session, form: ListForm, mailing_list: MailingList | None = None) -> str:
    language = settings().language
    form.language.empty = f"Default ({lists.LANGUAGES.get(language, language)})"
    return render_template(
        "admin/lists/edit.html" if mailing_list else "admin/lists/new.html",
        mailing_list=mailing_list,
        form=form,
        time_zones=sorted(lists.known_time_zones()),
        topics=list(list_most_used_tags(session).values()),
    )


@page_view(blueprint, Access.ADMIN, "/lists/<slug>/edit")
def edit(session: Session, slug: str, form: ListForm | None = None) -> str:
    mailing_list = lists.get_list(session, slug)
    stored = ListForm.of_list(session, mailing_list)
    if form and form.conflict:
        form.compare_with(stored)
    return _form_page(session, form or stored, mailing_list)


@page_view(blueprint, Access.ADMIN, "/lists/new")
def new(session: Session, form: ListForm | None = None) -> str:
    return _form_page(session, form or ListForm(zone=settings().time_zone))


@blueprint.post("/lists/new")
@staff_action(Access.ADMIN, ListForm, page=new)
def create(action: StaffAction, form: ListForm) -> ResponseReturnValue:
    slug = form.slug.data
    list_settings = form.list_settings(action.session, slug=slug)
    if slug in RESERVED_SLUGS:
        raise Invalid({"slug": "NIF uses this slug for a page of its own. Choose another one."})
    lists.create_list(action.session, list_settings, now=action.now)
    return _done(
        action,
        *("list_created", slug, "The list is created. People can subscribe to it now."),
        title=form.title.data,
    )


@blueprint.post("/lists/<slug>/edit")
@staff_action(Access.ADMIN, ListForm, page=edit)
def update(action: StaffAction, form: ListForm, slug: str) -> ResponseReturnValue:
    mailing_list = lists.get_list(action.session, slug)
    list_settings = form.list_settings(action.session, slug=slug)
    version = form.version.number
    changes = lists.update_list(
        action.session, mailing_list, list_settings, version=version, now=action.now
    )
    if not changes:
        return action.done("Nothing was changed.", url_for("admin_lists.show", slug=slug))
    detail = {name: describe_change(*pair) for name, pair in changes.items()}
    return _done(action, "list_changed", slug, "Saved.", **detail)


def _done(
    action: StaffAction, entry: str, slug: str, message: str, **detail: Any
) -> ResponseReturnValue:
    """Audit what was done to a list, which pages of readers show, and show its own page."""
    action.audit(entry, "list", slug, **detail)
    invalidate_pages(action.session)
    return action.done(message, url_for("admin_lists.show", slug=slug))


@page_view(blueprint, Access.ADMIN, "/lists/<slug>/embed")
def show_embed_form(session: Session, slug: str) -> str:
    mailing_list = lists.get_list(session, slug)
    address = links().path(f"/embed/{slug}")
    context = {"mailing_list": mailing_list, "address": address, "height": FRAME_HEIGHT}
    key = tokens().make(TokenPurpose.EMBED, mailing_list.id)
    return render_template(
        "admin/lists/show_embed_form.html",
        **context,
        frame=render_template("admin/lists/embed_frame.html", **context),
        plain=render_template(
            "admin/lists/embed_plain.html",
            mailing_list=mailing_list,
            action=links().path("/subscribe"),
            key=key,
        ),
    )


@page_view(blueprint, Access.ADMIN, "/lists/<slug>/archive")
def confirm_archive(session: Session, slug: str) -> str:
    mailing_list = lists.get_list(session, slug)
    return render_template(
        "admin/lists/confirm_archive.html",
        mailing_list=mailing_list,
        under_way=send_rows(session, list_unfinished_sends(session, mailing_list.id)),
    )


@blueprint.post("/lists/<slug>/archive")
@staff_action(Access.ADMIN, refused_to="admin_lists.show")
def archive(action: StaffAction, slug: str) -> ResponseReturnValue:
    paused = archive_list(action.session, lists.get_list(action.session, slug), now=action.now)
    message = "The list is archived. Its subscribers stay on it."
    if paused:
        message += f" {PAUSED_SENDS[min(paused, 2)].format(paused)}"
    return _done(action, "list_archived", slug, message)


@blueprint.post("/lists/<slug>/unarchive")
@staff_action(Access.ADMIN, refused_to="admin_lists.show")
def unarchive(action: StaffAction, slug: str) -> ResponseReturnValue:
    lists.unarchive_list(action.session, lists.get_list(action.session, slug), now=action.now)
    message = "The list is restored and continues with its next slot."
    return _done(action, "list_unarchived", slug, message)


@page_view(blueprint, Access.ADMIN, "/lists/<slug>/delete")
def confirm_delete(session: Session, slug: str) -> str:
    mailing_list = lists.get_list(session, slug)
    references = lists.references_to_list(session, mailing_list)
    history = [label for name, label in HISTORY_LABELS.items() if name in references]
    return render_template(
        "admin/lists/confirm_delete.html",
        mailing_list=mailing_list,
        has_history=bool(references),
        history=history or ["other records"],
    )


@blueprint.post("/lists/<slug>/delete")
@staff_action(Access.ADMIN, refused_to="admin_lists.confirm_delete")
def delete(action: StaffAction, slug: str) -> ResponseReturnValue:
    mailing_list = lists.get_list(action.session, slug)
    title = mailing_list.title
    lists.delete_list(action.session, mailing_list)
    action.audit("list_deleted", "list", slug, title=title)
    invalidate_pages(action.session)
    return action.done(f"{title} is deleted.", url_for("admin_lists.index"))


FAILED_EMAILS_SINCE = timedelta(days=7)


class WhereFromForm(Form):
    """The page with the button that was pressed."""

    page = Hidden(name="from")

    @property
    def address(self) -> str:
        """The page, if it is one of the admin pages."""
        page = self.page.data
        own = page.startswith("/admin/") and page.isprintable() and "\\" not in page
        return page if own else "/admin/"


@blueprint.post("/sending/probe")
@staff_action(Access.ADMIN, WhereFromForm)
def probe(action: StaffAction, form: WhereFromForm) -> ResponseReturnValue:
    circuit_breaker.allow_breaker_probe_now(action.session, now=action.now)
    action.audit("breaker_probed", "system", "mail")
    action.wake("start_deliveries")
    return action.done(
        "One batch is sent at once. SendGrid’s answer decides whether sending resumes.",
        form.address,
    )


@blueprint.post("/events/reprocess")
@staff_action(Access.ADMIN, WhereFromForm)
def reprocess_events(action: StaffAction, form: WhereFromForm) -> ResponseReturnValue:
    provider_events.retry_failed_event_posts(action.session)
    action.audit("events_reprocessed", "system", "events")
    action.wake("process_events")
    return action.done(
        "The events are being processed again. Any that fail are set aside again.", form.address
    )


@blueprint.app_context_processor
def status_banner() -> dict[str, Any]:
    """For every admin page: the tripped circuit breaker, the attack mode, and whether the database
    went back in time.
    """
    if not (request.blueprint or "").startswith("admin_"):
        return {}
    now = utc_now()
    try:
        with reading() as session:
            breaker = circuit_breaker.find_tripped_breaker(session)
            unknown = list_unknown_attempts(session)
            attack = attack_mode.find_active_attack_mode(session, now=now)
    except OperationalError:
        # The error page for a database that does not answer uses this too.
        breaker = attack = None
        unknown = ()
    banner = breaker and {
        "explanation": send_status.explain_breaker(breaker),
        "reason": breaker.reason or "",
        "since": breaker.tripped_at or now,
        "next_try": breaker.retry_at if breaker.retry_at and breaker.retry_at > now else None,
    }
    went_back = unknown and {
        "explanation": send_status.explain_unknown_attempts(unknown),
        "since": min(one.found_at for one in unknown),
    }
    return {"circuit_breaker": banner, "attack_mode": attack, "went_back": went_back}


@blueprint.app_template_filter("second")
def clock_time_filter(moment: datetime) -> str:
    """A time of day to the second, in the site's time zone."""
    return send_status.format_clock_time(moment, settings().time_zone)


def find_system_warnings(session: Session, *, now: datetime) -> dict[str, Any]:
    """The problems that do not stop sending but need attention; empty without any."""
    tasks = {
        "suppression_pull": periodic_tasks.find_task(session, suppression_sync.PULL_TASK),
        "suppression_push": periodic_tasks.find_task(session, suppression_sync.PUSH_TASK),
    }
    found = {
        "event_posts": list_failed_event_posts(session),
        **{name: task if task and task.error else None for name, task in tasks.items()},
        "unheard_canary": canaries.find_unheard_canary(
            session, services().reconciliation_timing, now=now
        ),
        "failed_emails": list_undeliverable_emails(session, now - FAILED_EMAILS_SINCE),
    }
    return found if any(found.values()) else {}
