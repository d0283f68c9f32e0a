"""Where admins manage lists and sends."""
