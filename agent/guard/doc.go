// Package guard decides who may be reset: what an issuer may ask for, which passwords can be written at all, and which
// accounts may be touched.
//
// It fails closed and admits on positive evidence only: LDAP leaves out what may not be read, so what is absent is unknown
// and never "no". It does no input or output; every judgement follows from its arguments and the rules, but for
// [Guard.Admit], which counts. Every refusal is a *writeback.Error whose cause is for the audit; only reason and detail may
// leave the host.
//
// # Order
//
// A pipeline asks in this order: [Guard.Admit] for every request it has not seen, [Guard.CheckIssuer] before the sealed part
// matters, [Guard.CheckSubject] and [Guard.CheckPassword] before the directory is asked, [Guard.Conceal] on errors of the
// look-up, [Guard.CheckAccount] on the account found.
//
// CheckAccount looks at the scope first and answers every failure there alike, so that an issuer learns nothing about
// accounts beyond its scope, not even whether they exist; then at what protects the account; then at its state.
package guard
