// A test runner that prints TAP: one line for each step, "ok 1 - name" or "not ok 1 - name", comments with the reason below
// a failed one, and the plan "1..n" last, so that a run that ended early cannot pass for a whole one.

/** What a step may take. Nothing here takes longer than a few seconds unless it hangs. */
const STEP_TIMEOUT_MS = 15_000;

const steps = [];

/** Registers a step: run is an async function that throws when what it checks does not hold. */
export function step(name, run) {
  steps.push({ name, run });
}

/** Runs all steps in their order, each even when one before it failed. Returns how many failed. */
export async function runAll() {
  let failed = 0;
  for (const [at, { name, run }] of steps.entries()) {
    try {
      await within(STEP_TIMEOUT_MS, run());
      console.log(`ok ${at + 1} - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${at + 1} - ${name}`);
      for (const line of String(error?.stack ?? error).split("\n")) console.log(`# ${line}`);
    }
  }
  console.log(`1..${steps.length}`);
  return failed;
}

/** Awaits a promise, but rejects when it takes longer than ms milliseconds. */
export function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
