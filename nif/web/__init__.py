"""The web application: public pages, newsroom, admin pages and API."""
