// Package envelope makes and opens the two tokens of the writeback protocol: the request a portal signs and seals, and the
// result an agent signs. It is the only place that knows JOSE.
//
// # A request, step by step
//
// A request is a compact JWS (RFC 7515) around claims; its claim "sealed" holds, for each agent that may serve it, a compact
// JWE (RFC 7516) with the user and the password. The agent opens it in a fixed order, and the types keep that order:
//
//  1. [Opener.Verify] checks size, shape and header, finds the pinned key by its thumbprint, checks the signature with that
//     key's own algorithm, and only then reads the claims. It decrypts nothing and judges no time.
//  2. [Opener.Decrypt] takes only a [Verified] that the same Opener made, opens the entry sealed for one of its keys, and
//     checks that the sealed part speaks of the same request as the signed part.
//  3. [JudgeTimes] compares the claims with a clock. It stands apart, because the agent looks the request up in its memory
//     first: a repeated request is answered again however late it comes.
//
// The portal's side mirrors it: [Sealer.Seal] makes a request, [ResultVerifier.Verify] checks a result's signature, and
// [VerifiedResult.For] hands the result out only to the request it answers.
//
// # Where to read
//
//	opener.go, compact.go, signature.go, claims.go, sealed.go, times.go   opening a request, in that order
//	sealer.go, result.go, peek.go        making a request; making and verifying a result; what a token says of itself
//	json.go, unquote.go, fields.go       the strict reader, and members by name
//	algorithm.go, agree.go, rsa.go       the table of algorithms, and how each finds the content key
//	key.go, jwk.go, keyfile*.go          a key, its text, its file on Unix and on Windows
//	keystore.go, keystore_life.go        an agent's own keys, and what each is good for at a time
//	keystore_trust.go                    the portals' pinned keys, and all revocations
//	keystore_held.go                     keys whose material never leaves a hardware store
//
// # Strictness
//
// Every rule has one reading. JSON is read by a reader of our own: members that stand twice at any depth, unknown members,
// trailing bytes, invalid UTF-8 and fractions where whole seconds belong are refused. Base64url must be canonical. Headers hold
// exactly the members they need, so "crit", "zip", "jwk", "jku" and "x5u" have no place. A key admits exactly one algorithm
// and one use; nothing is negotiated from a message.
//
// # Secrets
//
// A password is decoded from the decrypted bytes straight into a [github.com/password-writeback/writeback/internal/secret.Value]; it never
// becomes a Go string, and the decrypted bytes are zeroed before Decrypt returns. What cannot be zeroed: the key schedule of AES inside crypto/aes,
// which opens a single message. Private keys sit behind a closure, as secrets do, so no printer finds them.
//
// # Suites
//
// A suite is a pair of algorithms, one to sign and one to seal; the rows of the table in algorithm.go are all there is to one. ec-1 is ES256 with
// ECDH-ES on P-256; rsa-1 is ES256 or PS256 with RSA-OAEP-256, for senders that have only a standard library and for keys that an operating
// system or a hardware store holds; both encrypt with A256GCM. The suite is not stated anywhere: the signature goes by the portal's key, each
// sealed entry by the agent's, so that portals and agents of different suites speak to each other.
//
// RSA keys have 3072 or 4096 bits and the exponent 65537. Whatever is wrong with an encrypted key, the answer is the same, and given after the same
// steps: see unwrap in rsa.go.
//
// # What go-jose does, and what not
//
// Signing, sealing and the JWK format are go-jose's: there it spares us work in which every mistake would be our own, and what we make is checked
// before it leaves by the reader below. Opening is not: the strict reader has taken a token apart before go-jose could, which would read it a second
// time, more leniently (a tag of any length above 16 bytes, a PSS salt of any length, zip, apu and apv). So verification and decryption call
// crypto/ecdsa, crypto/ecdh, crypto/rsa and crypto/aes themselves: a page of code, and a third of the time saved. It has a second effect: what
// one library makes another implementation opens, in every test.
package envelope
