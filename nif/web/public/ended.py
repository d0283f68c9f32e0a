"""What stands in the place of an archived list's form."""

from flask import render_template
from flask.typing import ResponseReturnValue

from nif.subscriptions.models import MailingList
from nif.subscriptions.reading import offered_lists
from nif.web.current import reading


def ended(mailing_list: MailingList) -> ResponseReturnValue:
    """The page that says that a list has ended, and what else there is."""
    with reading() as session:
        others = offered_lists(session)
    page = render_template("public/ended/ended.html", mailing_list=mailing_list, others=others)
    return page, 410
