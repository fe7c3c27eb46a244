// Package requester is the SDK for portals: it signs and seals requests, sends them through a queue to the agents inside the
// network, and waits for the signed answers.
//
// # Before you write code
//
// Four things pass between the portal's operator and the agents' administrator, once:
//
//   - The portal makes its signing key (writeback-send keys new --out portal.jwk) and gives its public half to the administrator
//     (writeback-send keys export), who enters it under issuers in the agents' configuration. The id agreed on there is Issuer.
//   - Each agent exports its public keys (writeback-agent keys export > agent.jwks). The portal trusts exactly these: it seals passwords
//     for them and believes the results they sign. Hand them over on a way both sides trust.
//   - The name of the agents' group, Group.
//   - Two queues of Azure Service Bus: RequestsQueue, which all portals send to, and ResultsQueue, this portal's own, with sessions. The portal needs
//     the right Send on the one and Listen on the other.
//
// # A portal
//
// One [Client] serves a whole portal process, however many people use it. Make it at the start with [Dial], and [Client.Close] it at the
// end. It is safe for concurrent use:
//
//	key, err := requester.LoadSigningKey("portal.jwk") // or ParseSigningKey, from a secret store
//	agents, err := requester.LoadAgents("agent-1.jwks", "agent-2.jwks")
//	client, err := requester.Dial(ctx, requester.DialConfig{
//		Issuer: "https://portal.example.com", Group: "corp", SigningKey: key, Agents: agents,
//		ConnectionString: connectionString, RequestsQueue: "writeback-requests", ResultsQueue: "portal-results",
//	})
//
// Then, for each person: verify who it is, which is the portal's whole responsibility; ask with [Client.Check] whether a reset can succeed and what the
// password must be like; let the person choose; and ask for it:
//
//	result, err := client.Reset(ctx, requester.ResetRequest{
//		User:     requester.Subject{Kind: requester.BySID, Value: sid},
//		Password: requester.NewSecret(typed), // not a string: it can be destroyed, and no printer shows it
//		By:       requester.Verification{AuthTime: verified, Methods: []string{"otp", "face"}},
//	})
//
// [Client.Change] is for a person who knows the old password, [Client.Unlock] for one who is only locked out, [Client.Ping] for the portal's
// own monitoring. All of them wait until ctx ends, at the longest until no agent can serve the request any more. An answer usually takes well under
// a second; give a person's request a minute.
//
// # What an answer means
//
// The error is nil exactly if an agent answered. A [Result] was signed by a pinned agent for exactly this request; its Outcome says what
// became of the directory:
//
//   - [Written]: the directory holds what was asked for. [OK]: the check or the ping is well.
//   - [NotWritten]: nothing was changed and nothing will be. Outcome.Reason says why, by a stable name such as [PasswordTooShort], and
//     Outcome.Detail what goes with it. [Lookup] has a text for the person, a remedy for the administrator, whether trying again
//     helps, and the [Class], which says who can do something about it. A portal need not know every reason: newer agents have more.
//   - [Unknown]: a write was sent and nobody can say yet whether it took effect.
//
// Silence is not failure. When no answer comes, the error is an [*ExchangeError] with [ErrNoAnswer], or with [ErrNotConfirmed] where the queue did not say that it
// took the request; the password may or may not have been set: tell the person to try the new one first. The same holds for
// the verdict Unknown. Both can still be settled later: [Client.Await] waits for a late answer, and for the one revision from
// Unknown to Written that an agent sends when the write turns out to have taken effect.
//
// Every other error is an [*Error]: the request, the keys or the configuration are wrong, and nothing was sent.
//
// # One session
//
// All requests of a client name one reply session, and one long-lived session on the results queue carries all answers, however many
// callers wait: accepting a session costs ten operations of the namespace's budget. A session that is lost is accepted again, and whoever waits
// goes on waiting. Anything else that arrives is counted ([Client.Stats]) and ignored, for the queue is not trusted.
//
// # Changing keys
//
// A client that runs for months takes new keys without a restart: [Client.SetAgents] when an agent's export has changed,
// [Client.SetSigningKey] when the agents have pinned the portal's next key, [Client.SetKeys] for both at once. It seals for every sealing key it
// is given and believes every signing key it is given, so old and new keys overlap for as long as both are in the list. When to load
// them is the portal's choice: on a signal, when the files change, or once an hour.
//
// # Without this package
//
// docs/protocol.md specifies the tokens for other languages. [Carry] and "writeback-send carry" take tokens made elsewhere to the queue and back.
package requester
