// Sets a user's password as a portal does, in suite ec-1; docs/protocol.md explains every step. Needs nothing but Node.
//   node reset.mjs PROFILE UPN <new-password
// PROFILE is writeback-send's, which carries the tokens. Exit code: 0 written, 1 not written, 3 unknown.
import { execFileSync } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

const b64 = (data) => Buffer.from(data).toString('base64url')
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const jwkKey = (make, jwk) => make({ key: jwk, format: 'jwk' })
const signed = (token) => Buffer.from(token.slice(0, token.lastIndexOf('.')))
const sha256 = (...data) => data.reduce((hash, part) => hash.update(part), crypto.createHash('sha256')).digest()

function unb64(text) {
  const data = Buffer.from(text, 'base64url')
  if (b64(data) !== text) throw new Error('not the one spelling of base64url')
  return data
}

// parse refuses members that stand twice, of which JSON.parse takes the last: their names are there in the text, and not in the value.
function parse(data) {
  const names = (json) => [...json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon).length
  const text = utf8.decode(data)
  if (names(text) !== names(JSON.stringify(JSON.parse(text)))) throw new Error('a JSON member stands twice')
  return JSON.parse(text)
}

function seal(jwk, plaintext) {
  const oneTime = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const header = b64(JSON.stringify({ alg: 'ECDH-ES', enc: 'A256GCM', cty: 'json', kid: jwk.kid, epk: oneTime.publicKey.export({ format: 'jwk' }) }))
  const z = crypto.diffieHellman({ privateKey: oneTime.privateKey, publicKey: jwkKey(crypto.createPublicKey, jwk) })
  const key = sha256(Buffer.from('00000001', 'hex'), z, Buffer.from('000000074132353647434d000000000000000000000100', 'hex'))
  const nonce = crypto.randomBytes(12)
  const cipher = crypto.createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(header))
  return [header, '', b64(nonce), b64(Buffer.concat([cipher.update(plaintext), cipher.final()])), b64(cipher.getAuthTag())].join('.')
}

function sign(jwk, claims) {
  const input = [{ typ: 'writeback-request+jwt', alg: 'ES256', kid: jwk.kid }, claims].map((part) => b64(JSON.stringify(part))).join('.')
  return `${input}.${b64(crypto.sign('sha256', Buffer.from(input), { key: jwkKey(crypto.createPrivateKey, jwk), dsaEncoding: 'ieee-p1363' }))}`
}

function verify(result, request, claims, pinned) {
  const [header, answer, signature, ...more] = result.split('.').map(unb64)
  const { typ, alg, kid, ...strangers } = parse(header)
  const key = pinned.find((jwk) => jwk.kid === kid) // chooses nothing else
  const exactly = typ === 'writeback-result+jwt' && alg === 'ES256' && Object.keys(strangers).length + more.length === 0
  if (!key || !exactly) throw new Error('not a result token of our agents')
  const verifier = { key: jwkKey(crypto.createPublicKey, key), dsaEncoding: 'ieee-p1363' }
  if (!crypto.verify('sha256', signed(result), verifier, signature)) throw new Error('the signature is wrong')
  const { iss, aud, jti, iat, req, req_sha256: digest, outcome, reason, detail, replayed, agent, ...unknown } = parse(answer)
  const ours = [key.agent, claims.iss, claims.jti, b64(sha256(signed(request))), key.agent.split('/').at(-1)]
  if (![iss, aud, req, digest, agent].every((value, i) => value === ours[i])) throw new Error('the answer to something else')
  if ([jti, iat, outcome, reason, replayed].includes(undefined) || Object.keys(unknown).length) throw new Error('a claim is missing, or unknown')
  return { outcome, reason, detail }
}

const [profilePath, upn] = process.argv.slice(2)
const read = (name) => JSON.parse(fs.readFileSync(path.resolve(path.dirname(profilePath), name), 'utf8'))
const profile = read(path.resolve(profilePath))
const keys = profile.agents.flatMap((name) => read(name).keys).filter((key) => key.agent.slice(0, key.agent.lastIndexOf('/')) === profile.group)
const password = utf8.decode(fs.readFileSync(0)).replace(/\r?\n$/, '')
const same = { jti: b64(crypto.randomBytes(16)), iss: profile.issuer, aud: profile.group, op: 'reset' }
const text = Buffer.from(JSON.stringify({ ...same, user: { upn }, password }))
const plaintext = Buffer.concat([text, Buffer.alloc((512 - (text.length % 512)) % 512, ' ')]) // so that its length tells nothing
const sealed = Object.fromEntries(keys.filter((key) => key.alg === 'ECDH-ES' && key.use === 'enc').map((key) => [key.kid, seal(key, plaintext)]))
const iat = Math.floor(Date.now() / 1000)
const claims = { ...same, iat, exp: iat + 60, act: { kind: 'self' }, auth_time: iat, amr: ['otp'], reply: b64(crypto.randomBytes(16)), sealed }
const token = sign(read(profile.key), claims)
try {
  const result = execFileSync('writeback-send', ['carry', '--profile', profilePath], { input: token, encoding: 'utf8' }).trim()
  const { outcome, reason, detail = {} } = verify(result, token, claims, keys.filter((key) => key.alg === 'ES256' && key.use === 'sig'))
  console.log(`${outcome}: ${reason}`, JSON.stringify(detail))
  process.exitCode = { written: 0, not_written: 1 }[outcome] ?? 3
} catch (fault) {
  console.log('unknown: no answer that can be trusted:', fault.message)
  process.exitCode = 3
}
