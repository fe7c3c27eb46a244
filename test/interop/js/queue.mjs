// Steps on queues without sessions.
import assert from "node:assert/strict";
import { bodies, connectionString, everything, freshQueue, listenOnly, pause, receive, receiveOne, send, warned, withClient } from "./namespace.mjs";
import { step, within } from "./tap.mjs";

step("a message arrives with all its properties", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    const sent = {
      body: { user: "anna", tries: 3 },
      messageId: "m-1",
      contentType: "application/json",
      correlationId: "c-1",
      subject: "reset",
      to: "agent",
      replyTo: "results",
      replyToSessionId: "s-1",
      timeToLive: 3_600_000,
      applicationProperties: { text: "ü", whole: 7, half: 0.5, yes: true, nothing: null },
    };
    await send(client, queue, sent);
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    for (const name of Object.keys(sent)) assert.deepEqual(got[name], sent[name], name);
    assert.equal(got.deliveryCount, 0);
    assert.equal(got.state, "active");
    assert.equal(got.sequenceNumber.toNumber(), 1);
    assert.match(got.lockToken, /^[0-9a-f-]{36}$/);
    assert.ok(Math.abs(got.enqueuedTimeUtc - Date.now()) < 60_000);
    assert.equal(got.expiresAtUtc - got.enqueuedTimeUtc, 3_600_000);
    assert.ok(got.lockedUntilUtc > new Date());
    await receiver.completeMessage(got);
    assert.deepEqual(await everything(receiver), []);
  }));

step("bytes, text, numbers and absent ids pass", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: Buffer.from([0, 255, 1]) }, { body: "text" }, { body: 42 }, { body: null });
    const got = await receive(client.createReceiver(queue, { receiveMode: "receiveAndDelete" }), 4);
    assert.deepEqual(bodies(got), [Buffer.from([0, 255, 1]), "text", 42, null]);
    assert.equal(new Set(got.map((m) => m.messageId)).size, 4, "the service gives ids to messages without");
  }));

step("a batch fills up to the size of the queue's messages and arrives in order", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    const sender = client.createSender(queue);
    const batch = await sender.createMessageBatch();
    assert.equal(batch.maxSizeInBytes, 1 << 20);
    const padding = "x".repeat(100_000);
    while (batch.tryAddMessage({ body: { at: batch.count, padding } }));
    assert.equal(batch.count, 10);
    await sender.sendMessages(batch);
    await sender.sendMessages([{ body: { at: 10 } }, { body: { at: 11 } }]);
    const got = await receive(client.createReceiver(queue), 12);
    assert.deepEqual(got.map((m) => m.body.at), [...Array(12).keys()]);
  }));

step("a message of many frames passes in both directions", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    const body = Buffer.alloc(1_000_000, "0123456789");
    await send(client, queue, { body });
    const receiver = client.createReceiver(queue);
    const got = await receiveOne(receiver);
    assert.ok(body.equals(got.body));
    await receiver.completeMessage(got);
  }));

step("a message over the queue's limit is refused", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    const tooLong = { body: Buffer.alloc(1 << 20) };
    await assert.rejects(send(client, queue, tooLong), { code: "MessageSizeExceeded", message: /size:\d+ bytes\) exceeds/ });
    await send(client, queue, { body: "the sender goes on" });
  }));

step("abandoning gives back, counts, and modifies properties", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "again", applicationProperties: { kept: "yes", changed: "old" } });
    const receiver = client.createReceiver(queue);
    await receiver.abandonMessage(await receiveOne(receiver), { changed: "new" });
    const got = await receiveOne(receiver);
    assert.equal(got.deliveryCount, 1);
    assert.deepEqual(got.applicationProperties, { kept: "yes", changed: "new" });
    await receiver.completeMessage(got);
  }));

step("a deferred message comes back by its sequence number only", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "later" }, { body: "now" });
    const receiver = client.createReceiver(queue);
    const later = await receiveOne(receiver);
    await receiver.deferMessage(later, { why: "not yet" });
    await receiver.completeMessage(await receiveOne(receiver));
    const [peeked] = await everything(receiver);
    assert.equal(peeked.state, "deferred");
    const [got] = await receiver.receiveDeferredMessages(later.sequenceNumber);
    assert.equal(got.body, "later");
    assert.equal(got.state, "deferred");
    assert.equal(got.applicationProperties.why, "not yet");
    await receiver.completeMessage(got);
    assert.deepEqual(await everything(receiver), []);
  }));

step("a deferred message can be abandoned, deferred again and dead-lettered", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "later" });
    const receiver = client.createReceiver(queue);
    const { sequenceNumber } = await receiveOne(receiver).then(async (m) => (await receiver.deferMessage(m), m));
    const fetch = async () => (await receiver.receiveDeferredMessages(sequenceNumber))[0];
    await receiver.abandonMessage(await fetch());
    await receiver.deferMessage(await fetch());
    await receiver.deadLetterMessage(await fetch(), { deadLetterReason: "late", deadLetterErrorDescription: "too late" });
    const dead = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(dead.deadLetterReason, "late");
  }));

step("dead-lettering keeps reason, description and properties, and the source is named", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "bad" });
    const receiver = client.createReceiver(queue);
    await receiver.deadLetterMessage(await receiveOne(receiver), {
      deadLetterReason: "unsigned",
      deadLetterErrorDescription: "no signature",
      issuer: "unknown",
    });
    const graveyard = client.createReceiver(queue, { subQueueType: "deadLetter" });
    const dead = await receiveOne(graveyard);
    assert.equal(dead.body, "bad");
    assert.equal(dead.deadLetterReason, "unsigned");
    assert.equal(dead.deadLetterErrorDescription, "no signature");
    assert.equal(dead.applicationProperties.issuer, "unknown");
    assert.equal(dead.deadLetterSource, queue);
    await graveyard.completeMessage(dead);
    assert.deepEqual(await everything(graveyard), []);
  }));

step("too many attempts end in the dead-letter queue", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "poison" });
    const receiver = client.createReceiver(queue);
    for (let attempt = 0; attempt < 3; attempt++) await receiver.abandonMessage(await receiveOne(receiver));
    const dead = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(dead.deadLetterReason, "MaxDeliveryCountExceeded");
  }));

step("expired messages end in the dead-letter queue", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "stale", timeToLive: 1 });
    const dead = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(dead.deadLetterReason, "TTLExpiredException");
  }));

step("peeking shows all states, from a sequence number on, and locks nothing", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: 1 }, { body: 2 }, { body: 3 });
    const receiver = client.createReceiver(queue);
    const all = await everything(receiver);
    assert.deepEqual(bodies(all), [1, 2, 3]);
    assert.equal(all[0].lockToken, undefined);
    assert.deepEqual(bodies(await receiver.peekMessages(10, { fromSequenceNumber: all[1].sequenceNumber })), [2, 3]);
    assert.deepEqual(bodies(await receive(receiver, 3)), [1, 2, 3]);
  }));

step("scheduled messages wait, can be cancelled, and arrive in time", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    const sender = client.createSender(queue);
    const receiver = client.createReceiver(queue);
    const [far] = await sender.scheduleMessages({ body: "tomorrow" }, new Date(Date.now() + 86_400_000));
    const due = new Date(Date.now() + 500);
    const soon = await sender.scheduleMessages([{ body: "soon" }, { body: "soon too" }], due);
    assert.equal(soon.length, 2);
    assert.deepEqual((await everything(receiver)).map((m) => m.state), ["scheduled", "scheduled", "scheduled"]);
    await sender.cancelScheduledMessages(far);
    const got = await receive(receiver, 2);
    assert.ok(Date.now() >= due.getTime(), "not before its time");
    assert.deepEqual(bodies(got), ["soon", "soon too"]);
    assert.deepEqual(bodies(await everything(receiver)), ["soon", "soon too"], "the cancelled one is gone");
  }));

step("a duplicate within the window is dropped", () =>
  withClient(async (client) => {
    const queue = freshQueue("unique");
    await send(client, queue, { body: 1, messageId: "a" }, { body: 2, messageId: "a" }, { body: 3, messageId: "b" });
    assert.deepEqual(bodies(await everything(client.createReceiver(queue))), [1, 3]);
  }));

step("renewing a lock extends it", () =>
  withClient(async (client) => {
    const queue = freshQueue("brief");
    await send(client, queue, { body: "hold" });
    const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
    const got = await receiveOne(receiver);
    const before = got.lockedUntilUtc;
    await pause(100);
    const after = await receiver.renewMessageLock(got);
    assert.ok(after > before, `${after} is not after ${before}`);
    await receiver.completeMessage(got);
  }));

step("the client's own renewal keeps a lock beyond its duration", () =>
  withClient(async (client) => {
    const queue = freshQueue("brief");
    await send(client, queue, { body: "hold" });
    const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 60_000 });
    const got = await receiveOne(receiver);
    await pause(3_500);
    await receiver.completeMessage(got);
    assert.deepEqual(await everything(receiver), []);
  }));

step("an expired lock is lost, on the link and for renewal, and counts", () =>
  withClient(async (client) => {
    const queue = freshQueue("brief");
    await send(client, queue, { body: "slow" });
    const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
    const slow = await receiveOne(receiver);
    const again = await receiveOne(receiver);
    assert.equal(again.deliveryCount, 1);
    await assert.rejects(receiver.renewMessageLock(slow), { code: "MessageLockLost" });
    await assert.rejects(receiver.completeMessage(slow), { code: "MessageLockLost" });
    await receiver.completeMessage(again);
  }));

step("receive-and-delete takes messages for good", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: 1 }, { body: 2 });
    const receiver = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
    const got = await receive(receiver, 2);
    assert.deepEqual(bodies(got), [1, 2]);
    assert.equal(got[0].lockedUntilUtc, undefined);
    assert.deepEqual(await everything(receiver), []);
  }));

step("an idle receiver drains its credit: what comes later goes to the one that asks", () =>
  withClient(async (client) => {
    // A peer that does not answer a drain is found out by the SDK after 200 ms, and then every time. A slow machine may be
    // late too, but not every time.
    for (let attempt = 1; ; attempt++) {
      const queue = freshQueue("plain");
      const idle = client.createReceiver(queue);
      const before = warned(/drain/i).length;
      assert.deepEqual(await idle.receiveMessages(10, { maxWaitTimeInMs: 200 }), []);
      if (warned(/drain/i).length > before) {
        assert.ok(attempt < 5, "the drain was never answered");
        continue;
      }
      await send(client, queue, { body: "for the other" });
      assert.equal((await receiveOne(client.createReceiver(queue))).body, "for the other");
      await send(client, queue, { body: "for the first" });
      assert.equal((await receiveOne(idle)).body, "for the first", "the drained link is still good");
      return;
    }
  }));

step("a stream handles many messages, a few at a time, and stops when told", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    const sender = client.createSender(queue);
    await sender.sendMessages(Array.from({ length: 100 }, (_, at) => ({ body: at })));
    const receiver = client.createReceiver(queue);
    const seen = [];
    let open = 0, most = 0;
    const errors = [];
    await new Promise((resolve) => {
      const stream = receiver.subscribe({
        processMessage: async (message) => {
          most = Math.max(most, ++open);
          await pause(1);
          open--;
          if (seen.push(message.body) === 100) stream.close().then(resolve);
        },
        processError: async ({ error }) => errors.push(error),
      }, { maxConcurrentCalls: 8 });
    });
    assert.deepEqual(errors, []);
    assert.deepEqual(seen.sort((a, b) => a - b), [...Array(100).keys()]);
    assert.ok(most > 1 && most <= 8, `${most} at a time`);
    await sender.sendMessages({ body: "after the stream" });
    const got = await receiveOne(client.createReceiver(queue));
    assert.equal(got.body, "after the stream", "the stopped stream holds no credit");
  }));

step("a stream gives back what its handler fails on", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: "hard" });
    const receiver = client.createReceiver(queue);
    const counts = [];
    const sources = [];
    await new Promise((resolve) => {
      receiver.subscribe({
        processMessage: async (message) => {
          counts.push(message.deliveryCount);
          if (counts.length < 3) throw new Error("not this time");
          resolve();
        },
        processError: async ({ errorSource }) => sources.push(errorSource),
      });
    });
    await receiver.close();
    assert.deepEqual(counts, [0, 1, 2]);
    assert.deepEqual(sources, ["processMessageCallback", "processMessageCallback"]);
  }));

step("an iterator yields message by message", () =>
  withClient(async (client) => {
    const queue = freshQueue("plain");
    await send(client, queue, { body: 1 }, { body: 2 }, { body: 3 });
    const receiver = client.createReceiver(queue);
    const seen = [];
    for await (const message of receiver.getMessageIterator()) {
      seen.push(message.body);
      await receiver.completeMessage(message);
      if (seen.length === 3) break;
    }
    assert.deepEqual(seen, [1, 2, 3]);
  }));

step("an unknown queue is not found", () =>
  withClient(async (client) => {
    await assert.rejects(send(client, "nowhere", { body: "lost" }), { code: "MessagingEntityNotFound" });
    await assert.rejects(client.createReceiver("nowhere").receiveMessages(1), { code: "MessagingEntityNotFound" });
  }));

step("a wrong key and a missing right are refused", async () => {
  const queue = freshQueue("plain");
  const forged = connectionString.replace(/SharedAccessKey=[^;]+/, "SharedAccessKey=forged");
  await withClient((client) => assert.rejects(send(client, queue, { body: 1 }), { code: "UnauthorizedAccess" }), forged);
  await withClient(async (client) => {
    await assert.rejects(send(client, queue, { body: 1 }), { code: "UnauthorizedAccess" });
    assert.deepEqual(await everything(client.createReceiver(queue)), [], "receiving is allowed");
  }, listenOnly);
});

step("closing ends promptly with links open, credit given and messages unsettled", async () => {
  const queue = freshQueue("plain");
  await withClient(async (client) => {
    await send(client, queue, { body: "unsettled" });
    const receiver = client.createReceiver(queue);
    await receiveOne(receiver);
    client.createReceiver(queue).subscribe({ processMessage: async () => {}, processError: async () => {} });
    await receiver.peekMessages(1);
    await within(3_000, client.close());
  });
});
