// Runs the test vectors of the protocol: run.mjs FOLDER. Prints TAP: a line for each vector, and what was found where it differs.
import fs from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { judgeTimes, match, openSealed, Refused, verifyRequest, verifyResult } from './envelope.mjs'
import { readPrivate, readPublic } from './keys.mjs'
import { Bad } from './strictjson.mjs'

function runRequest(vector, trust) {
  const { claims, entries } = verifyRequest(vector.token, trust)
  judgeTimes(claims, vector.clock, trust)
  return { claims, sealed: openSealed(claims, entries, trust) }
}

function runResult(vector, trust) {
  return { result: match(verifyResult(vector.token, trust), vector.request) }
}

function runKeys(vector) {
  try {
    return (vector.private ? readPrivate : readPublic)(vector.text).map(({ kid, use, alg }) => ({ kid, use, alg }))
  } catch (fault) {
    if (!(fault instanceof Bad)) throw fault
    return []
  }
}

function runner({ trust }) {
  if (!trust) return runKeys
  return trust.agents ? runResult : runRequest
}

function observe(run, vector, trust) {
  try {
    return run(vector, trust)
  } catch (fault) {
    if (!(fault instanceof Refused)) throw fault
    const { step, reason, answered } = fault
    return { step, ...(reason && { reason }), ...(answered && { answered }) }
  }
}

const folder = process.argv[2]
let steps = 0
const names = ['', 'keys/'].flatMap((below) => fs.readdirSync(path.join(folder, below)).map((file) => below + file))
for (const name of names.filter((file) => file.endsWith('.json')).sort()) {
  const file = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'))
  if (file.format !== 1) throw new Error(`${name}: format ${file.format}`)
  const run = runner(file)
  for (const vector of file.vectors) {
    const got = observe(run, vector, file.trust)
    const same = isDeepStrictEqual(got, vector.expect)
    console.log(`${same ? 'ok' : 'not ok'} ${++steps} - ${name}/${vector.name}`)
    if (!same) console.log(`# expected ${JSON.stringify(vector.expect)}\n# found ${JSON.stringify(got)}`)
  }
}
console.log(`1..${steps}`)
