// Reads keys as they are handed over, a JWK or a JWK Set: docs/protocol.md, "Keys".
import crypto from 'node:crypto'
import { asObject, asText, demand, NAME, need, unbase64 } from './envelope.mjs'
import { Bad, parseObject } from './strictjson.mjs'

const MAX_TEXT = 256 << 10
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']
const ALGORITHMS = new Map([['ES256', ['sig', 'EC']], ['ECDH-ES', ['enc', 'EC']], ['PS256', ['sig', 'RSA']], ['RSA-OAEP-256', ['enc', 'RSA']]])

// OtherSuite is a key of an alg or for a use that the page does not name: a set leaves it out.
class OtherSuite extends Bad {}

/** readPublic returns the keys of a public JWK or of a JWK Set. */
export function readPublic(text) {
  const members = readText(text)
  if (!members.has('keys')) return [publicKey(members)]
  demand(Array.isArray(members.get('keys')), 'not a set')
  const found = new Map()
  for (const key of members.get('keys').flatMap((element) => ofKnownSuite(() => publicKey(asObject(element))))) {
    const same = found.get(key.kid) ?? key
    demand(same.use === key.use && same.agent === key.agent, 'a key for two uses, or of two agents')
    found.set(key.kid, key)
  }
  demand(found.size > 0, 'no key is left')
  return [...found.values()]
}

function ofKnownSuite(read) {
  try {
    return [read()]
  } catch (fault) {
    if (fault instanceof OtherSuite) return []
    throw fault
  }
}

/** readPrivate returns the one key of a private JWK. */
export function readPrivate(text) {
  const members = readText(text)
  demand(!members.has('oth'), 'more than two primes')
  const key = namedKey(members)
  if (members.get('kty') === 'EC') checkCurveHalf(members)
  else checkRSAHalf(members)
  return [key]
}

function readText(text) {
  const bytes = Buffer.from(text)
  demand(bytes.length <= MAX_TEXT, 'too long')
  return parseObject(bytes)
}

function publicKey(members) {
  demand(!PRIVATE.some((name) => members.has(name)), 'private material')
  return namedKey(members)
}

// namedKey checks a key's public half and returns what names it.
function namedKey(members) {
  const [use, alg] = ['use', 'alg'].map((name) => asText(need(members, name), NAME))
  if (!ALGORITHMS.has(alg) || !['sig', 'enc'].includes(use)) throw new OtherSuite('of another suite')
  const [ownUse, kty] = ALGORITHMS.get(alg)
  demand(use === ownUse && need(members, 'kty') === kty, 'use or kty is not that of alg')
  if (kty === 'EC') checkCurve(members)
  else checkRSA(members)
  const own = (kty === 'EC' ? ['crv', 'kty', 'x', 'y'] : ['e', 'kty', 'n']).map((name) => [name, members.get(name)])
  const kid = crypto.createHash('sha256').update(JSON.stringify(Object.fromEntries(own))).digest('base64url')
  demand(!members.has('kid') || members.get('kid') === kid, 'kid is not the thumbprint')
  return { kid, use, alg, agent: members.has('agent') ? asText(members.get('agent'), NAME) : undefined }
}

function octets(members, name) {
  const value = need(members, name)
  demand(typeof value === 'string', 'not a text')
  return unbase64(value)
}

function coordinate(members, name) {
  const bytes = octets(members, name)
  demand(bytes.length === 32, 'not 32 bytes')
  return bytes
}

function number(members, name) {
  const bytes = octets(members, name)
  demand(bytes.length > 0 && bytes[0] !== 0, 'not as short as it can be')
  return BigInt(`0x${bytes.toString('hex')}`)
}

// taken gives what the library refuses the name of what breaks a rule.
function taken(read) {
  try {
    return read()
  } catch {
    throw new Bad('not a key')
  }
}

function checkCurve(members) {
  demand(need(members, 'crv') === 'P-256' && coordinate(members, 'x') && coordinate(members, 'y'), 'another curve')
  const key = { kty: 'EC', crv: 'P-256', x: members.get('x'), y: members.get('y') }
  taken(() => crypto.createPublicKey({ key, format: 'jwk' })) // that the point is on it
}

function checkCurveHalf(members) {
  const half = crypto.createECDH('prime256v1')
  const d = coordinate(members, 'd')
  taken(() => half.setPrivateKey(d))
  demand(half.getPublicKey().equals(Buffer.concat([Buffer.of(4), coordinate(members, 'x'), coordinate(members, 'y')])), 'd is of another key')
}

function checkRSA(members) {
  const n = number(members, 'n')
  demand([3072, 4096].includes(n.toString(2).length) && n % 2n === 1n && number(members, 'e') === 65537n, 'a modulus or exponent that is not allowed')
}

function checkRSAHalf(members) {
  const [n, e, d, p, q, dp, dq, qi] = ['n', 'e', 'd', 'p', 'q', 'dp', 'dq', 'qi'].map((name) => number(members, name))
  demand(p * q === n && p > 1n && q > 1n, 'p and q are not the factors of n')
  demand(dp === d % (p - 1n) && dq === d % (q - 1n), 'halves that do not belong together')
  demand((e * dp) % (p - 1n) === 1n && (e * dq) % (q - 1n) === 1n && qi < p && (q * qi) % p === 1n, 'halves that do not belong together')
}
