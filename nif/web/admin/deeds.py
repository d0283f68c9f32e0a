"""Roles and deeds, as people call them."""

from nif.accounts.models import RoleName

ROLES = {
    RoleName.AUTHOR: "Author",
    RoleName.EDITOR: "Editor",
    RoleName.STANDARDS: "Standards editor",
    RoleName.ADMIN: "Admin",
}

DEEDS = {
    "signed_in": "signed in",
    "signed_out_everywhere": "signed out everywhere",
    "password_set": "set a password",
    "authenticator_added": "set up an authenticator app",
    "authenticator_removed": "removed the authenticator app",
    "passkey_added": "added a passkey",
    "passkey_removed": "removed a passkey",
    "recovery_codes_made": "made recovery codes",
    "recovery_code_used": "signed in with a recovery code",
    "profile_changed": "changed the profile",
    "invited": "invited",
    "invited_again": "invited again",
    "invitation_withdrawn": "withdrew the invitation of",
    "invitation_accepted": "accepted the invitation",
    "role_changed": "changed the role of",
    "switched_off": "switched off",
    "switched_on": "switched on",
    "factors_cleared": "cleared the second factors of",
    "account_created": "created an account",
    "story_drafted": "began the draft",
    "story_published": "published",
    "story_scheduled": "scheduled",
    "story_taken_off": "took off the schedule",
    "story_sent_back": "sent back",
    "gate_overridden": "let a gate pass for",
    "list_created": "founded the list",
    "schedule_changed": "changed the schedule of",
    "subscriber_taken_off": "took off a list",
    "subscriber_suppressed": "suppressed by hand",
    "suppression_lifted": "lifted the suppression of",
    "segment_made": "made the segment",
    "segment_changed": "changed the segment",
    "segment_dropped": "dropped the segment",
    "send_begun": "sent by hand",
    "send_paused": "paused",
    "send_resumed": "went on with",
    "send_cancelled": "cancelled",
    "send_taken_back": "took back",
    "send_limited": "set the time limit of",
    "batch_resolved": "decided about a batch of",
    "brake_tried": "tried whether mail leaves again",
    "events_taken_up": "had events processed again",
}
"""A verb's code, and what stands between who did it and what it was done to."""

PLACES = {
    "account": "/admin/people/{}",
    "story": "/newsroom/stories/{}",
    "list": "/admin/lists/{}",
    "send": "/admin/sends/{}",
    "subscriber": "/admin/subscribers/{}",
    "segment": "/admin/segments/{}",
}
"""Where a thing of some kind is looked at."""
