// Steps through the other front doors: TLS, WebSocket and the management interface.
import assert from "node:assert/strict";
import {
  ServiceBusAdministrationClient, WebSocket, freshQueue, httpsAddress, receiveOne, secureConnection, send, tlsAddress, withClient,
} from "./namespace.mjs";
import { step } from "./tap.mjs";

/** Sends, receives, settles on the link and by management, and asks for a session: every kind of link there is. */
async function everyLink(client) {
  const queue = freshQueue("plain");
  const body = Buffer.alloc(300_000, "0123456789");
  await send(client, queue, { body });
  const receiver = client.createReceiver(queue);
  const got = await receiveOne(receiver);
  assert.ok(body.equals(got.body));
  await receiver.renewMessageLock(got);
  await receiver.completeMessage(got);
  await (await client.acceptSession(freshQueue("sessions"), "a")).close();
}

step("AMQP over TLS", () => withClient(everyLink, secureConnection(tlsAddress)));

step("AMQP over WebSocket", () =>
  withClient(everyLink, secureConnection(httpsAddress), { webSocketOptions: { webSocket: WebSocket } }));

step("a queue is created, changed, listed, looked at and deleted", async () => {
  const admin = new ServiceBusAdministrationClient(secureConnection(httpsAddress));
  const name = "made-by-script";
  assert.equal(await admin.queueExists(name), false);
  const made = await admin.createQueue(name, { maxDeliveryCount: 7, lockDuration: "PT45S", deadLetteringOnMessageExpiration: true });
  assert.equal(made.maxDeliveryCount, 7);
  assert.equal(made.lockDuration, "PT45S");
  assert.equal(made.requiresSession, false);
  await assert.rejects(admin.createQueue(name), { code: "MessageEntityAlreadyExistsError" });

  const changed = await admin.updateQueue({ ...(await admin.getQueue(name)), maxDeliveryCount: 9 });
  assert.equal(changed.maxDeliveryCount, 9);
  assert.equal(changed.deadLetteringOnMessageExpiration, true);

  await withClient(async (client) => {
    await send(client, name, { body: 1 }, { body: 2 });
    const receiver = client.createReceiver(name);
    await receiver.deadLetterMessage(await receiveOne(receiver));
  });
  const running = await admin.getQueueRuntimeProperties(name);
  assert.equal(running.activeMessageCount, 1);
  assert.equal(running.deadLetterMessageCount, 1);
  assert.equal(running.totalMessageCount, 2);

  const names = [];
  for await (const queue of admin.listQueues()) names.push(queue.name);
  assert.ok(names.includes(name) && names.length > 100, `${names.length} queues are listed, page by page`);

  await admin.deleteQueue(name);
  assert.equal(await admin.queueExists(name), false);
});
