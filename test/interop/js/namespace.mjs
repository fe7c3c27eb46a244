// The emulated namespace as the steps see it: clients that are always closed, and queues that nobody used before.
//
// INTEROP_CONNECTION        connection string with a key that may do everything
// INTEROP_LISTEN_ONLY       the same with a key that may only receive
// INTEROP_TLS               host:port for AMQP over TLS, whose authority is in NODE_EXTRA_CA_CERTS
// INTEROP_HTTPS             host:port for AMQP over WebSocket, and for management
// WRITEBACK_INTEROP_JS      directory that holds node_modules; this one if unset
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { format } from "node:util";

const installed = process.env.WRITEBACK_INTEROP_JS ?? path.dirname(fileURLToPath(import.meta.url));
const require = createRequire(path.join(installed, "package.json"));

export const { ServiceBusAdministrationClient, ServiceBusClient } = require("@azure/service-bus");
export const WebSocket = require("ws");
const { AzureLogger, setLogLevel } = require("@azure/logger");
const Long = require("long");
export const sdkVersion = require("@azure/service-bus/package.json").version;
export const connectionString = environment("INTEROP_CONNECTION");
export const listenOnly = environment("INTEROP_LISTEN_ONLY");
export const tlsAddress = environment("INTEROP_TLS");
export const httpsAddress = environment("INTEROP_HTTPS");

const warnings = [];
setLogLevel("warning");
AzureLogger.log = (...line) => warnings.push(format(...line));

/** What the SDK has warned of so far and that matches a pattern. It hides some failures from its users, but not from its log. */
export const warned = (pattern) => warnings.filter((line) => pattern.test(line));

function environment(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** A connection string for another address, without the mark that makes clients speak in clear. */
export function secureConnection(address) {
  const key = connectionString.split(";").filter((part) => part.startsWith("SharedAccessKey"));
  return [`Endpoint=sb://${address}/`, ...key].join(";");
}

/**
 * Runs use with a client of its own, thus a connection of its own, and closes it. The SDK takes the port from
 * customEndpointAddress only, so the address is given there once more.
 */
export async function withClient(use, connection = connectionString, options = {}) {
  const address = /Endpoint=(sb:\/\/[^;]+)/.exec(connection)[1];
  const client = new ServiceBusClient(connection, {
    customEndpointAddress: address,
    retryOptions: { maxRetries: 0, timeoutInMs: 5_000 },
    ...options,
  });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

const taken = new Map();

/**
 * Returns a queue nobody has used: "plain" ones dead-letter after three attempts and on expiry and take 1 MiB, "brief" ones
 * lock for three seconds, "unique" ones drop duplicates, "sessions" and "brief-sessions" require sessions.
 */
export function freshQueue(kind) {
  const number = (taken.get(kind) ?? 0) + 1;
  taken.set(kind, number);
  return `${kind}-${number}`;
}

/** Receives exactly count messages, or throws with what came within ten seconds. */
export async function receive(receiver, count) {
  const got = [];
  const until = Date.now() + 10_000;
  while (got.length < count && Date.now() < until) {
    got.push(...(await receiver.receiveMessages(count - got.length, { maxWaitTimeInMs: until - Date.now() })));
  }
  if (got.length !== count) throw new Error(`${got.length} messages came, want ${count}`);
  return got;
}

/** Receives exactly one message. */
export async function receiveOne(receiver) {
  return (await receive(receiver, 1))[0];
}

/** Sends messages to a queue, each by itself, in their order. */
export async function send(client, queue, ...messages) {
  const sender = client.createSender(queue);
  for (const message of messages) await sender.sendMessages(message);
  await sender.close();
}

/** What is in a queue, or in a session, now. The SDK's own peeking goes on from where it last stopped. */
export const everything = (receiver) => receiver.peekMessages(100, { fromSequenceNumber: Long.ONE });

/** The bodies of messages. */
export const bodies = (messages) => messages.map((m) => m.body);

/** Waits. Only for what the service does by its clock: locks and times to live that expire. */
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
