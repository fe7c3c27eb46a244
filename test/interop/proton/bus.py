"""The emulated namespace as plain AMQP 1.0: Proton knows nothing of Service Bus, so that tokens are put and requests are made
by hand, and what is on the wire is what the steps say.

INTEROP_CONNECTION   connection string with a key that may do everything
INTEROP_LISTEN_ONLY  the same with a key that may only receive
"""

import base64
import contextlib
import hashlib
import hmac
import itertools
import os
import time
import urllib.parse

from proton import Link, Message, int32
from proton.reactor import LinkOption
from proton.utils import BlockingConnection

TIMEOUT = 10  # seconds for any one answer; nothing takes that long unless it hangs

_taken = {}


def fresh_queue(kind):
    """A queue nobody has used: "plain" ones dead-letter after three attempts and on expiry and take 1 MiB, "brief" ones lock
    for three seconds, "sessions" require sessions."""
    _taken[kind] = _taken.get(kind, 0) + 1
    return f"{kind}-{_taken[kind]}"


class Key:
    """A shared access key and where it is good."""

    def __init__(self, connection_string):
        fields = dict(part.split("=", 1) for part in connection_string.split(";"))
        self.address = fields["Endpoint"].removeprefix("sb://").rstrip("/")
        self.name, self.key = fields["SharedAccessKeyName"], fields["SharedAccessKey"]

    def token(self, audience, key=None, expires=None):
        """A SharedAccessSignature for an audience, good for an hour."""
        resource = urllib.parse.quote(audience, safe="")
        until = str(int(expires or time.time() + 3600))
        mac = hmac.new((key or self.key).encode(), f"{resource}\n{until}".encode(), hashlib.sha256)
        signature = urllib.parse.quote(base64.b64encode(mac.digest()), safe="")
        return f"SharedAccessSignature sr={resource}&sig={signature}&se={until}&skn={self.name}"


ROOT = Key(os.environ["INTEROP_CONNECTION"])
LISTENER = Key(os.environ["INTEROP_LISTEN_ONLY"])


class Target(LinkOption):
    """The target address of a receiver: where replies go."""

    def __init__(self, address):
        self.address = address

    def apply(self, link):
        link.target.address = self.address


class Modes(LinkOption):
    """How each side settles."""

    def __init__(self, sender=Link.SND_MIXED, receiver=Link.RCV_FIRST):
        self.sender, self.receiver = sender, receiver

    def apply(self, link):
        link.snd_settle_mode, link.rcv_settle_mode = self.sender, self.receiver


PEEK_LOCK = Modes(receiver=Link.RCV_SECOND)
RECEIVE_AND_DELETE = Modes(sender=Link.SND_SETTLED)


class Requests:
    """Request and reply over a pair of links to $cbs or to a management node."""

    def __init__(self, bus, node):
        self.bus, self.reply_to = bus, f"replies-{next(bus.numbers)}"
        self.receiver = bus.connection.create_receiver(node, name=self.reply_to, credit=10, options=[Target(self.reply_to)])
        self.sender = bus.connection.create_sender(node, name=f"to-{self.reply_to}")

    def call(self, operation, body=None, **properties):
        """Returns the reply; its status is a property."""
        number = f"request-{next(self.bus.numbers)}"
        self.sender.send(Message(id=number, reply_to=self.reply_to, body=body,
                                 properties={"operation": operation, **properties}))
        reply = self.receiver.receive()
        if reply.correlation_id != number:
            raise AssertionError(f"a reply to {reply.correlation_id!r}, want {number!r}")
        return reply

    def close(self):
        self.sender.close()
        self.receiver.close()


class Bus:
    """A connection with the rights of a key."""

    def __init__(self, key=ROOT, **options):
        self.key, self.numbers = key, itertools.count(1)
        self.connection = BlockingConnection(f"amqp://{key.address}", timeout=TIMEOUT, allowed_mechs="ANONYMOUS", **options)

    def audience(self, entity):
        return f"amqp://{self.key.address}/{entity}"

    def put_token(self, entity, token=None):
        """Puts a token for an entity and returns the status."""
        audience = self.audience(entity)
        cbs = Requests(self, "$cbs")
        reply = cbs.call("put-token", token or self.key.token(audience),
                         name=audience, type="servicebus.windows.net:sastoken")
        cbs.close()
        return reply.properties["status-code"]

    def authorise(self, entity):
        """Puts a good token for an entity."""
        status = self.put_token(entity)
        if status not in (200, 202):
            raise AssertionError(f"put-token for {entity} was answered {status}")

    def sender(self, queue, *options):
        self.authorise(queue)
        return self.connection.create_sender(queue, name=f"sender-{next(self.numbers)}", options=list(options))

    def receiver(self, queue, *options, credit=0):
        """A receiver that gives this credit and no more by itself; receive() and take() give what they need."""
        self.authorise(queue)
        name = f"receiver-{next(self.numbers)}"
        receiver = self.connection.create_receiver(queue, name=name, credit=0, options=list(options) or [PEEK_LOCK])
        if credit:
            receiver.link.flow(credit)
        return receiver

    def management(self, queue):
        self.authorise(queue)
        return Requests(self, f"{queue}/$management")

    def send(self, queue, *messages):
        """Sends messages, which may be just bodies, over a link of its own."""
        sender = self.sender(queue)
        for message in messages:
            sender.send(message if isinstance(message, Message) else Message(body=message))
        sender.close()

    def waiting(self, queue):
        """The bodies of the messages in a queue, of any state, in order."""
        management = self.management(queue)
        reply = management.call("com.microsoft:peek-message", {"from-sequence-number": 1, "message-count": int32(100)})
        management.close()
        if reply.properties["statusCode"] == 204:
            return []
        return [decoded(entry["message"]).body for entry in reply.body["messages"]]

    def until(self, condition, what):
        """Handles what arrives until condition holds."""
        self.connection.wait(condition, msg=what)

    def settle(self, delivery, state, **local):
        """Says the outcome of a delivery, waits for the other side to settle, and settles. Returns what the other side said."""
        for name, value in local.items():
            setattr(delivery.local, name, value)
        delivery.update(state)
        self.until(lambda: delivery.settled, "settlement")
        answer = delivery.remote_state, delivery.remote.condition
        delivery.settle()
        return answer


def decoded(data):
    """The message in a binary."""
    message = Message()
    message.decode(bytes(data))
    return message


@contextlib.contextmanager
def bus(key=ROOT, **options):
    """A connection that is closed in the end."""
    b = Bus(key, **options)
    try:
        yield b
    finally:
        b.connection.close()


def take(receiver):
    """Receives one message; returns it with its delivery, which stays unsettled."""
    message = receiver.receive()
    return message, receiver.fetcher.unsettled.pop()
