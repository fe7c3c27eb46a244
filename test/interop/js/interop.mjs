// Microsoft's JavaScript client, unmodified, against the Service Bus emulator. Prints TAP; see namespace.mjs for what it
// needs. The process ends by itself only if closing its clients left no socket and no timer behind.
import { sdkVersion } from "./namespace.mjs";
import { runAll } from "./tap.mjs";
import "./queue.mjs";
import "./sessions.mjs";
import "./doors.mjs";

console.log(`# @azure/service-bus ${sdkVersion}, Node ${process.version}`);
if ((await runAll()) > 0) process.exit(1);
