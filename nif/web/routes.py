"""All blueprints of the web application."""

from collections.abc import Iterator

from flask import Blueprint
from werkzeug.routing import IntegerConverter, Map

from nif.web.admin import analytics, audit_log, imports, repermission, team
from nif.web.admin import held_signups as admin_held_signups
from nif.web.admin import lists as admin_lists
from nif.web.admin import segments as admin_segments
from nif.web.admin import sends as admin_sends
from nif.web.admin import subscribers as admin_subscribers
from nif.web.admin import suppressions as admin_suppressions
from nif.web.api import health, sendgrid_events
from nif.web.newsroom import account, live_preview
from nif.web.newsroom import pictures as newsroom_pictures
from nif.web.newsroom import publishing as newsroom_publishing
from nif.web.newsroom import reader_reports as newsroom_reader_reports
from nif.web.newsroom import register as newsroom_register
from nif.web.newsroom import stories as newsroom_stories
from nif.web.public import (
    feeds,
    invitations,
    media,
    newsletters,
    outbox,
    policies,
    preferences,
    reader_reports,
    stories,
    subscribe,
    transparency,
    unsubscribe,
)

READER_MODULES = (
    *(stories, reader_reports, media, newsletters),
    *(subscribe, unsubscribe, preferences),
    *(policies, transparency),
)
MACHINE_MODULES = (feeds, health, sendgrid_events)
NEWSROOM_MODULES = (
    *(newsroom_stories, live_preview, newsroom_publishing, newsroom_reader_reports),
    *(newsroom_register, newsroom_pictures),
)
ADMIN_MODULES = (
    *(analytics, admin_lists, imports, admin_sends, team, audit_log, account, invitations),
    *(admin_subscribers, admin_segments, admin_held_signups, admin_suppressions, repermission),
)


class RowIdConverter(IntegerConverter):
    """`<id:story_id>` in a route: an integer that the database can hold."""

    def __init__(self, url_map: Map) -> None:
        super().__init__(url_map, max=2**63 - 1)


def list_blueprints(*, outbox_is_open: bool) -> Iterator[Blueprint]:
    """All blueprints; the outbox only if the site delivers mail to it."""
    for module in (*READER_MODULES, *MACHINE_MODULES, *NEWSROOM_MODULES, *ADMIN_MODULES):
        yield module.blueprint
    if outbox_is_open:
        yield outbox.blueprint
