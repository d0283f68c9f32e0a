"""Mail comes from the sender of settings and list at the time it is posted."""

from dataclasses import replace

from nif.database import Database
from nif.mail.message import Sender
from nif.mail.provider import ProviderProblem, Refused
from nif.sends.certificates import certify_send
from nif.sends.delivery import DeliveryContext, deliver_send
from nif.sends.models import SendState, SendStopCause
from tests.conftest import NOON
from tests.fakes import FakeMailer
from tests.sends.helpers import accept, claimed_batch, get_send, planned_send, release, resume

WRONG_SENDER = Refused(400, [ProviderProblem("It does not match a verified sender.", "from")])
RIGHT = Sender("right@example.com", "The News")


def test_a_send_that_was_refused_for_its_sender_goes_on_once_the_setting_is_right(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=3)
    mailer.raises.append(WRONG_SENDER)
    deliver_send(context, send_id)
    send = get_send(database, send_id)
    assert (send.state, send.stop_cause) == (SendState.PAUSED, SendStopCause.CONTENT)
    before = certify_send(database, send_id, now=NOON).content_hash

    resume(database, send_id)
    deliver_send(replace(context, sender=RIGHT), send_id)

    ((_, message, _),) = mailer.posted
    assert message.sender == RIGHT
    assert len(mailer.addresses()) == 3
    certificate = certify_send(database, send_id, now=NOON)
    assert (certificate.is_complete, certificate.content_hash) == (True, before)


def test_the_name_of_the_sender_is_the_one_that_the_list_has_by_then(
    context: DeliveryContext, database: Database, mailer: FakeMailer
) -> None:
    send_id = planned_send(database, count=1)
    with database.transaction() as session:
        from_list = session.merge(get_send(database, send_id)).mailing_list
        from_list.sender_name = "  Our   Daily "
    deliver_send(replace(context, sender=RIGHT), send_id)

    ((_, message, _),) = mailer.posted
    assert str(message.sender) == "Our Daily <right@example.com>"


def test_the_certificate_says_which_senders_a_send_had(
    context: DeliveryContext, database: Database, mailer: FakeMailer, batches_of_seven: None
) -> None:
    send_id = planned_send(database, count=10)
    release(database, claimed_batch(database, send_id))
    accept(database, claimed_batch(database, send_id))
    deliver_send(replace(context, sender=RIGHT), send_id)

    certificate = certify_send(database, send_id, now=NOON)

    assert certificate.senders == {"NIF <news@example.com>": 7, "The News <right@example.com>": 3}
