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
// becomes a Go string, and the decrypted bytes are zeroed before Decrypt returns. What cannot be zeroed: the content key inside
// go-jose, which opens a single message. Private keys sit behind a closure, as secrets do, so no printer finds them.
//
// # Suites
//
// A suite is a pair of algorithms, one to sign and one to seal. The rows of the table in algorithm.go are all there is to one;
// ec-1 is ES256 with ECDH-ES on P-256 and A256GCM.
package envelope
