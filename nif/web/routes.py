"""All blueprints: the map of the site."""

from collections.abc import Iterator

from flask import Blueprint

from nif.web.admin import audit
from nif.web.admin import lists as admin_lists
from nif.web.admin import people as admin_people
from nif.web.admin import sends as admin_sends
from nif.web.api import health, sendgrid_events
from nif.web.newsroom import account
from nif.web.newsroom import stories as newsroom_stories
from nif.web.public import (
    home,
    invitation,
    newsletters,
    outbox,
    people,
    preferences,
    stories,
    subscribe,
    unsubscribe,
)


def blueprints(*, outbox_is_open: bool) -> Iterator[Blueprint]:
    """Every door; the outbox only where mail stays in it."""
    for module in (home, stories, newsletters, subscribe, unsubscribe, preferences):
        yield module.blueprint
    for module in (newsroom_stories, admin_lists, admin_sends, health, sendgrid_events):
        yield module.blueprint
    for module in (account, people, invitation, admin_people, audit):
        yield module.blueprint
    if outbox_is_open:
        yield outbox.blueprint
