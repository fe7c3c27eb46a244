// Steps on queues that require sessions.
import assert from "node:assert/strict";
import { bodies, everything, freshQueue, pause, receive, receiveOne, send, withClient } from "./namespace.mjs";
import { step } from "./tap.mjs";

const inSession = (sessionId, ...list) => list.map((body) => ({ body, sessionId }));

step("a session by its id gives its own messages in order", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    await send(client, queue, ...inSession("a", 1, 2), ...inSession("b", 9), ...inSession("a", 3));
    const session = await client.acceptSession(queue, "a");
    assert.equal(session.sessionId, "a");
    assert.ok(session.sessionLockedUntilUtc > new Date());
    const got = await receive(session, 3);
    assert.deepEqual(bodies(got), [1, 2, 3]);
    for (const message of got) await session.completeMessage(message);
    assert.deepEqual(await everything(session), [], "of its own session only");
    await session.close();
  }));

step("a session can be accepted before its first message", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    const session = await client.acceptSession(queue, "answers-1");
    const waiting = receiveOne(session);
    await send(client, queue, ...inSession("answers-1", "here"));
    assert.equal((await waiting).body, "here");
  }));

step("the next session is one with messages that nobody holds", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    await send(client, queue, ...inSession("a", 1), ...inSession("b", 2));
    const first = await client.acceptNextSession(queue);
    const second = await client.acceptNextSession(queue);
    assert.deepEqual([first.sessionId, second.sessionId].sort(), ["a", "b"]);
    const waiting = client.acceptNextSession(queue);
    await send(client, queue, ...inSession("c", 3));
    assert.equal((await waiting).sessionId, "c", "waits for one to appear");
  }));

step("waiting for a session ends when none appears", () =>
  withClient(async (client) => {
    // The service is told to give up a little before the client does.
    await assert.rejects(client.acceptNextSession(freshQueue("sessions")), { code: "ServiceTimeout" });
  }));

step("a session has one receiver; closing frees it", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    const holder = await client.acceptSession(queue, "a");
    await assert.rejects(client.acceptSession(queue, "a"), { code: "SessionCannotBeLocked" });
    await holder.close();
    await (await client.acceptSession(queue, "a")).close();
  }));

step("a session keeps state", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    const session = await client.acceptSession(queue, "a");
    assert.equal(await session.getSessionState(), null);
    await session.setSessionState({ page: 3 });
    await session.close();
    const again = await client.acceptSession(queue, "a");
    assert.deepEqual(await again.getSessionState(), { page: 3 });
    await again.setSessionState(null);
    assert.equal(await again.getSessionState(), null);
  }));

step("a session's messages can be abandoned, deferred, dead-lettered and deleted on receipt", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    await send(client, queue, ...inSession("a", "abandoned", "deferred", "dead", "deleted"));
    const session = await client.acceptSession(queue, "a");
    await session.abandonMessage(await receiveOne(session));
    const [abandoned, deferred, dead] = await receive(session, 3);
    assert.equal(abandoned.deliveryCount, 1);
    await session.completeMessage(abandoned);
    await session.deferMessage(deferred);
    await session.deadLetterMessage(dead, { deadLetterReason: "bad", deadLetterErrorDescription: "worse" });
    const [back] = await session.receiveDeferredMessages(deferred.sequenceNumber);
    await session.completeMessage(back);
    await session.close();

    const deleting = await client.acceptSession(queue, "a", { receiveMode: "receiveAndDelete" });
    assert.deepEqual(bodies(await receive(deleting, 1)), ["deleted"]);
    await deleting.close();
    const buried = await receiveOne(client.createReceiver(queue, { subQueueType: "deadLetter" }));
    assert.equal(buried.body, "dead");
    assert.equal(buried.sessionId, "a");
  }));

step("a session's lock is renewed by request and by the client itself", () =>
  withClient(async (client) => {
    const queue = freshQueue("brief-sessions");
    await send(client, queue, ...inSession("a", "hold"));
    const session = await client.acceptSession(queue, "a");
    const before = session.sessionLockedUntilUtc;
    const message = await receiveOne(session);
    await pause(3_500);
    assert.ok((await session.renewSessionLock()) > before);
    await session.completeMessage(message);
  }));

step("an expired session lock is lost, and its messages come again", () =>
  withClient(async (client) => {
    const queue = freshQueue("brief-sessions");
    await send(client, queue, ...inSession("a", "slow"));
    const session = await client.acceptSession(queue, "a", { maxAutoLockRenewalDurationInMs: 0 });
    const slow = await receiveOne(session);
    const next = await client.acceptNextSession(queue); // waits for the lock to expire
    await assert.rejects(session.completeMessage(slow), { code: "SessionLockLost" });
    const again = await receiveOne(next);
    assert.equal(again.body, "slow");
    assert.equal(again.deliveryCount, 1);
  }));

step("a session streams", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    await send(client, queue, ...inSession("a", 1, 2, 3));
    const session = await client.acceptSession(queue, "a");
    const seen = [];
    const errors = [];
    let stream;
    await new Promise((resolve) => {
      stream = session.subscribe({
        processMessage: async (message) => {
          await session.completeMessage(message);
          if (seen.push(message.body) === 3) resolve();
        },
        processError: async ({ error }) => errors.push(error),
      }, { autoCompleteMessages: false });
    });
    await stream.close();
    await session.close();
    assert.deepEqual(seen, [1, 2, 3]);
    assert.deepEqual(errors, []);
    assert.deepEqual(await everything(client.createReceiver(queue)), []);
  }));

step("queues with sessions and clients without do not mix", () =>
  withClient(async (client) => {
    const queue = freshQueue("sessions");
    const receiving = client.createReceiver(queue).receiveMessages(1);
    await assert.rejects(receiving, /requires sessions/);
    await assert.rejects(send(client, queue, { body: "no session" }), /session/i);
    await assert.rejects(client.acceptSession(freshQueue("plain"), "a"), /session/i);
  }));
