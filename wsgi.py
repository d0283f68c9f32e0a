"""The web process: `granian --interface wsgi wsgi:app`, or any other WSGI server."""

from nif.app import create_app
from nif.settings import load_settings

app = create_app(load_settings())
