"""All blueprints: the map of the site."""

from collections.abc import Iterator

from flask import Blueprint

from nif.web.admin import audit, figures, imports, quiet
from nif.web.admin import lists as admin_lists
from nif.web.admin import people as admin_people
from nif.web.admin import segments as admin_segments
from nif.web.admin import sends as admin_sends
from nif.web.admin import sign_ups as admin_sign_ups
from nif.web.admin import subscribers as admin_subscribers
from nif.web.admin import suppressions as admin_suppressions
from nif.web.api import health, sendgrid_events
from nif.web.newsroom import account, autosaving, merging, previewing
from nif.web.newsroom import deciding as newsroom_deciding
from nif.web.newsroom import pictures as newsroom_pictures
from nif.web.newsroom import publishing as newsroom_publishing
from nif.web.newsroom import register as newsroom_register
from nif.web.newsroom import reports as newsroom_reports
from nif.web.newsroom import revising as newsroom_revising
from nif.web.newsroom import stories as newsroom_stories
from nif.web.public import (
    corrections,
    embedding,
    feeds,
    history,
    home,
    invitation,
    ledger,
    media,
    new_address,
    newsletters,
    not_me,
    notices,
    outbox,
    own_data,
    people,
    policies,
    preferences,
    relationships,
    reports,
    sitemaps,
    staying,
    stories,
    subscribe,
    transparency,
    unsubscribe,
)

FOR_READERS = (
    *(home, stories, history, corrections, reports, media, newsletters),
    *(subscribe, embedding, unsubscribe, not_me, preferences, new_address, own_data, staying),
    *(relationships, people, policies, ledger, transparency),
)
FOR_MACHINES = (feeds, sitemaps, notices, health, sendgrid_events)
FOR_THE_NEWSROOM = (
    *(newsroom_stories, autosaving, merging, previewing, newsroom_publishing),
    *(newsroom_deciding, newsroom_revising, newsroom_reports),
    *(newsroom_register, newsroom_pictures),
)
FOR_ADMINS = (
    *(figures, admin_lists, imports, admin_sends, admin_people, audit, account, invitation),
    *(admin_subscribers, admin_segments, admin_sign_ups, admin_suppressions, quiet),
)


def blueprints(*, outbox_is_open: bool) -> Iterator[Blueprint]:
    """Every door; the outbox only where mail stays in it."""
    for module in (*FOR_READERS, *FOR_MACHINES, *FOR_THE_NEWSROOM, *FOR_ADMINS):
        yield module.blueprint
    if outbox_is_open:
        yield outbox.blueprint
