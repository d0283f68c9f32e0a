"""Error pages after a failure of the server."""

from flask import Flask

from nif.web.access import Access, open_to
from tests.web.newsroom.staff import text_of, without_tokens


@open_to(Access.PUBLIC)
def broken() -> str:
    raise RuntimeError("This view is broken.")


def test_a_failed_get_does_not_claim_that_something_was_not_saved(new_app: Flask) -> None:
    without_tokens(new_app).config["PROPAGATE_EXCEPTIONS"] = False
    new_app.add_url_rule("/broken", view_func=broken, methods=["GET", "POST"])
    client = new_app.test_client()

    looked, sent = client.get("/broken"), client.post("/broken", data={"text": "Mine"})

    assert (looked.status_code, sent.status_code) == (500, 500)
    assert "You did nothing wrong." in text_of(looked.text)
    assert "not saved" not in looked.text
    assert "What you sent was not saved." in text_of(sent.text)
