// Package envelopetest crafts request tokens by hand, good and hostile ones, for tests and for the demonstration.
//
// It shares no code with package envelope beyond the keys and uses the standard library's cryptography alone: what it makes
// and envelope opens was written twice, from the same specification. Never link it into the agent.
package envelopetest
