"""All blueprints: the map of the site."""

from collections.abc import Iterator

from flask import Blueprint

from nif.web.admin import audit
from nif.web.admin import lists as admin_lists
from nif.web.admin import people as admin_people
from nif.web.admin import sends as admin_sends
from nif.web.api import health, sendgrid_events
from nif.web.newsroom import account, autosaving, merging, previewing
from nif.web.newsroom import deciding as newsroom_deciding
from nif.web.newsroom import pictures as newsroom_pictures
from nif.web.newsroom import publishing as newsroom_publishing
from nif.web.newsroom import register as newsroom_register
from nif.web.newsroom import stories as newsroom_stories
from nif.web.public import (
    feeds,
    home,
    invitation,
    ledger,
    media,
    newsletters,
    notices,
    outbox,
    people,
    policies,
    preferences,
    relationships,
    sitemaps,
    stories,
    subscribe,
    unsubscribe,
)


def blueprints(*, outbox_is_open: bool) -> Iterator[Blueprint]:
    """Every door; the outbox only where mail stays in it."""
    for module in (home, stories, media, newsletters, subscribe, unsubscribe, preferences):
        yield module.blueprint
    for module in (feeds, sitemaps, notices, policies, relationships, ledger):
        yield module.blueprint
    for module in (newsroom_stories, autosaving, merging, previewing):
        yield module.blueprint
    for module in (newsroom_publishing, newsroom_deciding, newsroom_register, newsroom_pictures):
        yield module.blueprint
    for module in (admin_lists, admin_sends, health, sendgrid_events):
        yield module.blueprint
    for module in (account, people, invitation, admin_people, audit):
        yield module.blueprint
    if outbox_is_open:
        yield outbox.blueprint
