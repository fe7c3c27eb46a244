"""Apache Qpid Proton, an AMQP 1.0 client that knows nothing of Service Bus, against the Service Bus emulator. Prints TAP; see
bus.py for what it needs."""

import sys
import time
import uuid

import proton
from proton import Condition, Delivery, Described, Message, SASL, symbol, timestamp, ulong
from proton.reactor import Filter
from proton.utils import LinkDetached, SendException

from bus import LISTENER, PEEK_LOCK, RECEIVE_AND_DELETE, ROOT, bus, decoded, fresh_queue, take
from tap import equal, raises, run_all, step


@step("SASL ANONYMOUS is offered and succeeds")
def _():
    with bus() as b:
        sasl = b.connection.conn.transport.sasl()
        equal(sasl.outcome, SASL.OK, "outcome")
        equal(sasl.mech, "ANONYMOUS", "mechanism")


@step("a good token is accepted; a forged, an expired and a strange one are not")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        equal(b.put_token(queue), 202)
        audience = b.audience(queue)
        equal(b.put_token(queue, ROOT.token(audience, key="forged")), 401, "forged")
        equal(b.put_token(queue, ROOT.token(audience, expires=time.time() - 1)), 401, "expired")
        equal(b.put_token(queue, ROOT.token(b.audience("another"))), 401, "for another queue")
        equal(b.put_token("nowhere"), 404, "unknown queue")


@step("without a token, and without the right, a link is refused")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        raises(LinkDetached, lambda: b.connection.create_sender(queue), "amqp:unauthorized-access")
    with bus(LISTENER) as b:
        raises(LinkDetached, lambda: b.sender(queue), "amqp:unauthorized-access")
    with bus(LISTENER) as b:
        b.receiver(queue).close()


@step("properties of every type pass unchanged")
def _():
    queue = fresh_queue("plain")
    sent = {
        "text": "ü", "yes": True, "long": -7, "ulong": ulong(7), "byte": proton.byte(-1), "double": 0.5, "float": proton.float32(0.25),
        "time": timestamp(1700000000000), "id": uuid.UUID(int=42), "symbol": symbol("s"), "null": None, "bytes": b"\x00\xff",
        "char": proton.char("c"),
    }
    with bus() as b:
        b.send(queue, Message(body={"a": [1, "b", None]}, id="m-1", correlation_id=uuid.UUID(int=7), subject="reset", reply_to="results",
                              address="to", content_type="text/plain", group_id="", user_id=b"anna", priority=9, ttl=60, properties=sent))
        got, delivery = take(b.receiver(queue))
        equal(got.properties, sent, "properties")
        equal({name: type(value) for name, value in got.properties.items()}, {name: type(value) for name, value in sent.items()}, "types")
        equal(got.body, {"a": [1, "b", None]}, "body")
        equal((got.id, got.correlation_id, got.subject, got.reply_to, got.address, got.content_type, got.user_id, got.priority),
              ("m-1", uuid.UUID(int=7), "reset", "results", "to", "text/plain", b"anna", 9))
        equal(got.delivery_count, 0, "delivery count")
        notes = got.annotations
        equal(notes[symbol("x-opt-sequence-number")], 1, "sequence number")
        equal(type(notes[symbol("x-opt-enqueued-time")]), timestamp)
        equal(type(notes[symbol("x-opt-locked-until")]), timestamp)
        equal(type(got.instructions[symbol("x-opt-lock-token")]), uuid.UUID)
        equal(delivery.tag.encode("utf-8", "surrogateescape"), got.instructions[symbol("x-opt-lock-token")].bytes_le, "tag")
        equal(b.settle(delivery, Delivery.ACCEPTED), (Delivery.ACCEPTED, None))


@step("a message of many small frames passes in both directions")
def _():
    queue = fresh_queue("plain")
    body = bytes(range(256)) * 3000
    with bus(max_frame_size=4096) as b:
        b.send(queue, body)
        receiver = b.receiver(queue)
        got, delivery = take(receiver)
        equal(got.body == body, True, "the body came back")
        b.settle(delivery, Delivery.ACCEPTED)


@step("a message over the limit is rejected, and the sender goes on")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        sender = b.sender(queue)
        equal(sender.link.remote_max_message_size, 1 << 20, "announced size")
        equal(raises(SendException, lambda: sender.send(Message(body=bytes(1 << 20)))).state, Delivery.REJECTED, "state")
        sender.send(Message(body="small"))
        equal(b.waiting(queue), ["small"])


@step("a sender may settle in advance")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.sender(queue, RECEIVE_AND_DELETE).send(Message(body="fire and forget"))
        got, delivery = take(b.receiver(queue))
        equal(got.body, "fire and forget")
        b.settle(delivery, Delivery.ACCEPTED)


@step("a receiver may have messages settled in advance, which deletes them")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, 1, 2)
        receiver = b.receiver(queue, RECEIVE_AND_DELETE)
        equal([receiver.receive().body, receiver.receive().body], [1, 2])
        equal(len(receiver.fetcher.unsettled), 0, "unsettled")
        equal(b.waiting(queue), [])


@step("accepted, answered: the message is gone")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, "once")
        _, delivery = take(b.receiver(queue))
        equal(b.waiting(queue), ["once"], "while locked")
        equal(b.settle(delivery, Delivery.ACCEPTED), (Delivery.ACCEPTED, None))
        equal(b.waiting(queue), [])


@step("released, answered: the message comes again and no attempt is counted")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, "again")
        receiver = b.receiver(queue)
        _, delivery = take(receiver)
        equal(b.settle(delivery, Delivery.RELEASED)[0], Delivery.RELEASED)
        got, _ = take(receiver)
        equal((got.body, got.delivery_count), ("again", 0))


@step("modified, answered: the attempt is counted and properties change")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, Message(body="again", properties={"kept": 1}))
        receiver = b.receiver(queue)
        _, delivery = take(receiver)
        equal(b.settle(delivery, Delivery.MODIFIED, failed=True, annotations={symbol("why"): "busy"})[0], Delivery.MODIFIED)
        got, _ = take(receiver)
        equal((got.delivery_count, got.properties), (1, {"kept": 1, "why": "busy"}))


@step("modified as undeliverable here: deferred, and received by its sequence number")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, "later", "now")
        receiver = b.receiver(queue)
        first, delivery = take(receiver)
        equal(b.settle(delivery, Delivery.MODIFIED, undeliverable=True)[0], Delivery.MODIFIED)
        equal(take(receiver)[0].body, "now")
        management = b.management(queue)
        number = first.annotations[symbol("x-opt-sequence-number")]
        reply = management.call("com.microsoft:receive-by-sequence-number", {
            "sequence-numbers": proton.Array(proton.UNDESCRIBED, proton.Data.LONG, number),
            "receiver-settle-mode": proton.uint(1),
        })
        equal(reply.properties["statusCode"], 200, "status")
        [entry] = reply.body["messages"]
        equal(decoded(entry["message"]).body, "later")
        reply = management.call("com.microsoft:update-disposition", {
            "disposition-status": "completed",
            "lock-tokens": proton.Array(proton.UNDESCRIBED, proton.Data.UUID, entry["lock-token"]),
        })
        equal(reply.properties["statusCode"], 200, "status of completing")
        equal(b.waiting(queue), ["now"])


@step("rejected with a reason, answered without an error: dead-lettered")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, "bad")
        _, delivery = take(b.receiver(queue))
        why = Condition("com.microsoft:dead-letter", info={
            symbol("DeadLetterReason"): "unsigned", symbol("DeadLetterErrorDescription"): "no signature"})
        equal(b.settle(delivery, Delivery.REJECTED, condition=why), (Delivery.REJECTED, None))
        got, _ = take(b.receiver(f"{queue}/$DeadLetterQueue"))
        equal(got.body, "bad")
        equal(got.properties, {"DeadLetterReason": "unsigned", "DeadLetterErrorDescription": "no signature"})
        equal(got.annotations[symbol("x-opt-deadletter-source")], queue, "source")


@step("settled by the receiver at once: every outcome is applied")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, "accepted", "released", "modified", "rejected", "no outcome")
        receiver = b.receiver(queue, credit=5)
        b.until(lambda: len(receiver.fetcher.incoming) == 5, "five messages")
        deliveries = [delivery for _, delivery in receiver.fetcher.incoming]
        receiver.fetcher.incoming.clear()
        for delivery, state in zip(deliveries, (Delivery.ACCEPTED, Delivery.RELEASED, Delivery.MODIFIED, Delivery.REJECTED)):
            delivery.local.failed = True
            delivery.update(state)
            delivery.settle()
        deliveries[4].settle()
        equal(b.waiting(queue), ["released", "modified", "no outcome"])
        equal(b.waiting(f"{queue}/$DeadLetterQueue"), ["rejected"])
        equal({m.body: m.delivery_count for m in (receiver.receive() for _ in range(3))},
              {"released": 0, "modified": 1, "no outcome": 0}, "attempts")


@step("a range of deliveries is settled by one disposition")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, *range(20))
        receiver = b.receiver(queue, credit=20)
        b.until(lambda: len(receiver.fetcher.incoming) == 20, "twenty messages")
        for _, delivery in receiver.fetcher.incoming:  # Proton puts neighbours with one outcome in one frame
            delivery.update(Delivery.ACCEPTED)
        b.until(lambda: all(delivery.settled for _, delivery in receiver.fetcher.incoming), "settlement")
        equal(b.waiting(queue), [])


@step("an expired lock is lost")
def _():
    queue = fresh_queue("brief")
    with bus() as b:
        b.send(queue, "slow")
        receiver = b.receiver(queue)
        _, slow = take(receiver)
        again, _ = take(receiver)
        equal(again.delivery_count, 1, "attempts")
        state, condition = b.settle(slow, Delivery.ACCEPTED)
        equal((state, condition.name), (Delivery.REJECTED, "com.microsoft:message-lock-lost"))


@step("a lock is renewed by request")
def _():
    queue = fresh_queue("brief")
    with bus() as b:
        b.send(queue, "hold")
        got, delivery = take(b.receiver(queue))
        before = got.annotations[symbol("x-opt-locked-until")]
        time.sleep(0.1)
        tokens = proton.Array(proton.UNDESCRIBED, proton.Data.UUID, got.instructions[symbol("x-opt-lock-token")])
        reply = b.management(queue).call("com.microsoft:renew-lock", {"lock-tokens": tokens})
        equal(reply.properties["statusCode"], 200, "status")
        equal(reply.body["expirations"].type, proton.Data.TIMESTAMP, "type of the array")
        equal(reply.body["expirations"].elements[0] > before, True, "later than before")
        b.settle(delivery, Delivery.ACCEPTED)


@step("credit is kept to the message")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, *range(5))
        receiver = b.receiver(queue, credit=2)
        incoming = receiver.fetcher.incoming
        for allowed in (2, 3):
            b.until(lambda: len(incoming) >= allowed, "what the credit allows")
            b.waiting(queue)  # a question and its answer: anything sent before it would be here by now
            equal(len(incoming), allowed, "messages")
            receiver.link.flow(1)
        b.until(lambda: len(incoming) == 4, "one more")


@step("draining delivers what there is and takes back the rest of the credit")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        b.send(queue, 1, 2, 3)
        receiver = b.receiver(queue)
        receiver.link.drain(10)
        b.until(lambda: receiver.link.credit == 0, "the end of the credit")
        equal(len(receiver.fetcher.incoming), 3, "messages")
        b.send(queue, 4)
        b.waiting(queue)
        equal(len(receiver.fetcher.incoming), 3, "messages without credit")
        receiver.link.drain_mode = False
        receiver.link.flow(1)
        b.until(lambda: len(receiver.fetcher.incoming) == 4, "the link goes on")


@step("a session is accepted by its id, or as the next one, and answered in the form it was asked for")
def _():
    queue = fresh_queue("sessions")
    session_filter, code = symbol("com.microsoft:session-filter"), ulong(0x137000000C)
    with bus() as b:
        b.send(queue, Message(body=1, group_id="a"), Message(body=2, group_id="b"))
        by_id = b.receiver(queue, PEEK_LOCK, Filter({session_filter: Described(code, "b")}))
        equal(take(by_id)[0].body, 2)
        following = b.receiver(queue, PEEK_LOCK, Filter({session_filter: Described(code, None)}))
        equal(filters(following)[session_filter], Described(code, "a"), "filter")
        locked = following.link.remote_properties[symbol("com.microsoft:locked-until-utc")]
        ticks = time.time() * 10**7 + 621355968000000000
        equal(0 < locked - ticks < 600 * 10**7, True, "locked until, in ticks")
        raises(LinkDetached, lambda: b.receiver(queue, PEEK_LOCK, Filter({session_filter: Described(code, "a")})),
               "com.microsoft:session-cannot-be-locked")
    with bus() as b:
        plain = b.receiver(queue, PEEK_LOCK, Filter({session_filter: "c"}))
        equal(filters(plain)[session_filter], "c", "filter without a descriptor")


def filters(receiver):
    """The filters the other side says are in place."""
    data = receiver.link.remote_source.filter
    data.rewind()
    data.next()
    return data.get_object()


@step("a queue with sessions refuses receivers and messages without")
def _():
    queue = fresh_queue("sessions")
    with bus() as b:
        equal(raises(SendException, lambda: b.send(queue, "no session")).state, Delivery.REJECTED, "state")
        raises(LinkDetached, lambda: b.receiver(queue), "amqp:not-allowed")


@step("an unknown operation is answered, not ignored")
def _():
    queue = fresh_queue("plain")
    with bus() as b:
        status = b.management(queue).call("com.example:sing", {}).properties["statusCode"]
        equal(400 <= status < 600, True, f"status {status} is an error")


@step("heartbeats keep an idle connection open")
def _():
    with bus(heartbeat=1) as b:
        deadline = time.time() + 2.5
        b.until(lambda: time.time() > deadline, "time to pass")
        equal(b.put_token(fresh_queue("plain")), 202)


if __name__ == "__main__":
    print(f"# qpid-proton {'.'.join(map(str, proton.VERSION))}, Python {sys.version.split()[0]}")
    sys.exit(0 if run_all() else 1)
