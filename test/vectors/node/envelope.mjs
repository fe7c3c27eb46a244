// Opens request tokens as an agent does, and verifies result tokens as a portal does: docs/protocol.md with Node's standard library alone.
// It is written to be compared with the document, for the test vectors; it does not erase secrets.
import crypto from 'node:crypto'
import { Bad, halfPair, NumberText, parseObject } from './strictjson.mjs'

const MAX_TOKEN = 65536
const MAX_HEADER = 1024
const MAX_PASSWORD = 4096
const LATEST = 253402300799n
const KINDS = ['sid', 'guid', 'upn', 'sam', 'immutable_id', 'mail']
const SAME = ['jti', 'iss', 'aud', 'op']
const MEMBERS = new Map([
  ['reset', ['user', 'password', 'must_change', 'unlock']], ['change', ['user', 'password', 'old_password']],
  ['unlock', ['user']], ['check', ['user']], ['ping', []],
])

/** Refused is a token that is not taken: the step and the reason; answered: it was signed well enough to be answered. */
export class Refused extends Error {
  constructor(step, reason, answered) {
    super(`${step}: ${reason}`)
    Object.assign(this, { step, reason, answered })
  }
}

// refuse runs read, and gives what breaks a rule in it a step and a reason.
function refuse(step, reason, answered, read) {
  try {
    return read()
  } catch (fault) {
    if (fault instanceof Bad) throw new Refused(step, reason, answered)
    throw fault
  }
}

export function demand(condition, what) {
  if (!condition) throw new Bad(what)
}

// Forms of strings: least and greatest length in bytes of UTF-8, and the characters.
const ID = [22, 64, /^[A-Za-z0-9_-]*$/]
const THUMBPRINT = [43, 43, /^[A-Za-z0-9_-]*$/]
export const NAME = [1, 128, /^[A-Za-z0-9_.:/+-]*$/]
const TIME = [1, 64, /^[A-Za-z0-9_.:/+-]*$/]
const METHOD = [1, 32, /^[A-Za-z0-9_.:/+-]*$/]
const ENTRY = [1, 16384, /^[A-Za-z0-9_.-]*$/]
const PRINTABLE = /^(?!.*\ufffd)[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u
const OPERATOR = [1, 256, PRINTABLE]
const USER = [1, 1024, PRINTABLE]

export function asText(value, [least, greatest, allowed]) {
  demand(typeof value === 'string' && !halfPair(value), 'not a text')
  const length = Buffer.byteLength(value)
  demand(length >= least && length <= greatest && allowed.test(value), 'not of its form')
  return value
}

function asNumber(value, greatest = LATEST) {
  demand(value instanceof NumberText && /^[0-9]+$/.test(value.text) && BigInt(value.text) <= greatest, 'not a whole number in range')
  return Number(value.text)
}

function asBool(value) {
  demand(typeof value === 'boolean', 'not true or false')
  return value
}

export function asObject(value) {
  demand(value instanceof Map, 'not an object')
  return value
}

function asTexts(value, greatest, form) {
  demand(Array.isArray(value) && value.length >= 1 && value.length <= greatest, 'not an array')
  demand(new Set(value.map((text) => asText(text, form))).size === value.length, 'a text stands twice')
  return value
}

export function need(members, name) {
  demand(members.has(name), `${name} is missing`)
  return members.get(name)
}

const strangers = (members, known) => [...members.keys()].some((name) => !known.includes(name))

// Tokens.

// unbase64 decodes base64url in its one canonical form.
export function unbase64(text) {
  const bytes = Buffer.from(text, 'base64url')
  demand(bytes.toString('base64url') === text, 'not canonical base64url')
  return bytes
}

function readHeader(part, members) {
  const bytes = unbase64(part)
  const header = parseObject(bytes)
  demand(bytes.length <= MAX_HEADER && header.size === members.length && !strangers(header, members), 'header')
  return header
}

function splitToken(token, typ) {
  const parts = token.split('.')
  demand(token !== '' && Buffer.byteLength(token) <= MAX_TOKEN && parts.length === 3, 'not a token')
  const header = readHeader(parts[0], ['typ', 'alg', 'kid'])
  demand(asText(header.get('typ'), NAME) === typ, 'typ')
  asText(header.get('alg'), NAME)
  asText(header.get('kid'), THUMBPRINT)
  return { header, parts, signature: unbase64(parts[2]) }
}

function checkSignature(jwk, signature, signingInput) {
  const key = crypto.createPublicKey({ key: jwk, format: 'jwk' })
  if (jwk.alg === 'ES256') return signature.length === 64 && crypto.verify('sha256', signingInput, { key, dsaEncoding: 'ieee-p1363' }, signature)
  const padding = crypto.constants.RSA_PKCS1_PSS_PADDING
  return jwk.alg === 'PS256' && crypto.verify('sha256', signingInput, { key, padding, saltLength: 32 }, signature)
}

// verifySigned takes a token as far as its payload. owners: whose which public keys are.
function verifySigned(token, typ, owners) {
  const { header, parts, signature } = refuse('verify', 'envelope.malformed', false, () => splitToken(token, typ))
  const [owner, jwk] = Object.entries(owners).flatMap(([name, jwks]) => jwks.map((key) => [name, key]))
    .find(([, key]) => key.kid === header.get('kid')) ?? []
  if (!jwk) throw new Refused('verify', 'envelope.untrusted_issuer', false)
  const signingInput = Buffer.from(`${parts[0]}.${parts[1]}`)
  const payload = refuse('verify', 'envelope.bad_signature', false, () => {
    demand(header.get('alg') === jwk.alg && checkSignature(jwk, signature, signingInput), 'signature')
    return unbase64(parts[1])
  })
  return { owner, kid: jwk.kid, payload, digest: crypto.createHash('sha256').update(signingInput).digest('base64url') }
}

// Requests, as an agent opens them.

const CLAIMS = ['iss', 'aud', 'jti', 'iat', 'exp', 'nbf', 'op', 'act', 'auth_time', 'amr', 'reply', 'sealed']

/** verifyRequest returns the claims and the sealed entries of a request. */
export function verifyRequest(token, trust) {
  const { owner, kid, payload, digest } = verifySigned(token, 'writeback-request+jwt', trust.issuers)
  const claims = { kid, req_sha256: digest }
  const members = refuse('verify', 'envelope.malformed', false, () => {
    const read = parseObject(payload)
    for (const [name, form] of [['iss', NAME], ['aud', NAME], ['jti', ID], ['reply', ID]]) claims[name] = asText(need(read, name), form)
    return read
  })
  if (claims.iss !== owner || claims.aud !== trust.group) throw new Refused('verify', 'envelope.untrusted_issuer', false)
  if (strangers(members, CLAIMS)) throw new Refused('verify', 'request.unsupported', true)
  refuse('verify', 'envelope.malformed', true, () => readClaims(members, claims))
  if (!MEMBERS.has(claims.op) || !['self', 'admin'].includes(claims.act.kind)) throw new Refused('verify', 'request.unsupported', true)
  return { claims, entries: members.get('sealed') }
}

function readClaims(members, claims) {
  for (const name of ['iat', 'exp', 'nbf', 'auth_time']) {
    if (members.has(name) || name === 'iat' || name === 'exp') claims[name] = asNumber(need(members, name))
  }
  demand(claims.exp > claims.iat, 'exp is not after iat')
  if (members.has('amr')) claims.amr = asTexts(members.get('amr'), 16, METHOD)
  claims.op = asText(need(members, 'op'), NAME)
  claims.act = readActor(asObject(need(members, 'act')))
  const entries = asObject(need(members, 'sealed'))
  demand(entries.size >= 1 && entries.size <= 64, 'sealed')
  for (const [name, entry] of entries) {
    asText(name, THUMBPRINT)
    asText(entry, ENTRY)
  }
}

function readActor(act) {
  const kind = asText(need(act, 'kind'), NAME)
  if (kind !== 'self' && kind !== 'admin') return { kind } // refused by the caller, with another reason
  if (kind === 'admin') asText(need(act, 'id'), OPERATOR)
  demand(!strangers(act, kind === 'admin' ? ['kind', 'id'] : ['kind']), 'act')
  return Object.fromEntries(act)
}

/** judgeTimes compares a request's times with the agent's clock. */
export function judgeTimes(claims, clock, { max_life: life, skew }) {
  if (claims.exp - claims.iat > life || (claims.auth_time ?? 0) > claims.iat + skew) throw new Refused('times', 'envelope.malformed', true)
  if (Math.max(claims.iat, claims.nbf ?? 0) > clock + skew) throw new Refused('times', 'request.not_yet_valid', true)
  if (clock >= claims.exp + skew) throw new Refused('times', 'request.expired', true)
}

/** openSealed opens the entry for the first of the agent's keys that has one. */
export function openSealed(claims, entries, trust) {
  const own = trust.sealing_keys.find((jwk) => entries.has(jwk.kid))
  if (!own) throw new Refused('open', 'envelope.not_for_us', true)
  return refuse('open', 'envelope.undecryptable', true, () => readSealed(decrypt(own, entries.get(own.kid)), claims))
}

function decrypt(own, entry) {
  const agrees = own.alg === 'ECDH-ES'
  const parts = entry.split('.')
  demand(parts.length === 5, 'not a compact JWE')
  const header = readHeader(parts[0], ['alg', 'enc', 'cty', 'kid', ...(agrees ? ['epk'] : [])])
  for (const [name, value] of Object.entries({ alg: own.alg, enc: 'A256GCM', cty: 'json', kid: own.kid })) demand(header.get(name) === value, name)
  const [encryptedKey, nonce, ciphertext, tag] = parts.slice(1).map(unbase64)
  demand(encryptedKey.length === (agrees ? 0 : unbase64(own.n).length) && nonce.length === 12 && tag.length === 16, 'lengths')
  try {
    const key = agrees ? agree(own, asObject(header.get('epk'))) : unwrap(own, encryptedKey)
    const cipher = crypto.createDecipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(parts[0])).setAuthTag(tag)
    return Buffer.concat([cipher.update(ciphertext), cipher.final()])
  } catch {
    throw new Bad('does not decrypt')
  }
}

// agree is ECDH-ES: the Concat KDF of RFC 7518 section 4.6.2 for A256GCM, which takes one round of SHA-256.
function agree(own, epk) {
  demand(epk.size === 4 && epk.get('kty') === 'EC' && epk.get('crv') === 'P-256', 'epk')
  const jwk = { kty: 'EC', crv: 'P-256', x: asText(epk.get('x'), THUMBPRINT), y: asText(epk.get('y'), THUMBPRINT) }
  demand(unbase64(jwk.x).length === 32 && unbase64(jwk.y).length === 32, 'epk')
  const z = crypto.diffieHellman({
    privateKey: crypto.createPrivateKey({ key: own, format: 'jwk' }), publicKey: crypto.createPublicKey({ key: jwk, format: 'jwk' }),
  })
  const otherInfo = Buffer.from('000000074132353647434d000000000000000000000100', 'hex')
  return crypto.createHash('sha256').update(Buffer.from('00000001', 'hex')).update(z).update(otherInfo).digest()
}

function unwrap(own, encryptedKey) {
  const key = crypto.createPrivateKey({ key: own, format: 'jwk' })
  return crypto.privateDecrypt({ key, padding: crypto.constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, encryptedKey)
}

function readSealed(plaintext, claims) {
  let end = plaintext.length
  while (end > 0 && plaintext[end - 1] === 0x20) end--
  demand(end > 0 && plaintext.length % 512 === 0 && plaintext[end - 1] === 0x7d, 'padding')
  const members = parseObject(plaintext.subarray(0, end))
  if (strangers(members, [...SAME, ...MEMBERS.get('reset'), ...MEMBERS.get('change')])) throw new Refused('open', 'request.unsupported', true)
  const own = MEMBERS.get(claims.op)
  demand(!strangers(members, [...SAME, ...own]), 'a member that the operation does not have')
  for (const name of SAME) demand(need(members, name) === claims[name], `${name} differs`)
  const sealed = {}
  if (own.includes('user')) sealed.user = readUser(asObject(need(members, 'user')))
  for (const name of ['password', 'old_password']) {
    if (own.includes(name)) sealed[`${name}_base64`] = readPassword(need(members, name)).toString('base64')
  }
  if (claims.op === 'reset') {
    sealed.must_change = asBool(members.has('must_change') ? members.get('must_change') : false)
    sealed.unlock = asBool(members.has('unlock') ? members.get('unlock') : true)
  }
  return sealed
}

function readPassword(value) {
  demand(typeof value === 'string', 'not a text')
  if (halfPair(value)) throw new Refused('open', 'password.invalid_characters', true)
  demand(Buffer.byteLength(value) <= MAX_PASSWORD, 'too long')
  return Buffer.from(value)
}

function readUser(user) {
  if (strangers(user, KINDS)) throw new Refused('open', 'request.unsupported', true)
  demand(user.size === 1 || (user.size === 2 && user.has('immutable_id')), 'not exactly one identifier')
  return Object.fromEntries([...user].map(([kind, value]) => [kind, asText(value, USER)]))
}

// Results, as a portal verifies them.

const RESULT = ['iss', 'aud', 'jti', 'iat', 'req', 'req_sha256', 'outcome', 'reason', 'replayed', 'agent']

/** verifyResult returns the claims of a result that a pinned agent signed for this portal. */
export function verifyResult(token, trust) {
  const { owner, payload } = verifySigned(token, 'writeback-result+jwt', trust.agents)
  const result = refuse('verify', 'envelope.malformed', false, () => readResult(parseObject(payload)))
  if (result.iss !== owner || result.aud !== trust.issuer) throw new Refused('verify', 'envelope.untrusted_issuer', false)
  return result
}

function readResult(members) {
  demand(!strangers(members, [...RESULT, 'detail']), 'a claim that results do not have')
  const form = { jti: ID, req: ID, req_sha256: THUMBPRINT }
  const read = { iat: asNumber, replayed: asBool }
  const result = Object.fromEntries(RESULT.map((name) => [name, (read[name] ?? ((value) => asText(value, form[name] ?? NAME)))(need(members, name))]))
  unbase64(result.req_sha256)
  demand(['written', 'not_written', 'unknown', 'ok'].includes(result.outcome), 'outcome')
  const slash = result.iss.lastIndexOf('/')
  demand(slash > 0 && slash < result.iss.length - 1 && result.agent === result.iss.slice(slash + 1), 'agent')
  if (members.has('detail')) result.detail = readDetail(asObject(members.get('detail')))
  return result
}

// readDetail reads the members that docs/protocol.md names, and leaves the others.
function readDetail(members) {
  const count = (value) => asNumber(value, 65536n)
  const names = (value) => asTexts(value, 16, NAME)
  const known = {
    min_length: count, max_length: count, history_length: count, possible: names, warnings: names, hint: (value) => asText(value, NAME), retry_after: asTime,
  }
  return Object.fromEntries(Object.keys(known).filter((name) => members.has(name)).map((name) => [name, known[name](members.get(name))]))
}

function asTime(value) {
  const [, moment] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/.exec(asText(value, TIME)) ?? []
  const read = new Date(`${moment}Z`) // makes another day of one that there is not
  demand(!Number.isNaN(read.getTime()) && read.toISOString().startsWith(moment), 'not an RFC 3339 time')
  return value
}

/** match refuses a result that answers another request, and returns what it says. */
export function match(result, request) {
  if (result.req !== request.jti || result.req_sha256 !== request.req_sha256) throw new Refused('match')
  const { iss, jti, iat, outcome, reason, replayed, detail } = result
  return { iss, jti, iat, outcome, reason, replayed, ...(detail && { detail }) }
}
