// Package adtest is a fake Active Directory domain controller over real LDAPS, for tests and for the lab. It is never part of
// the agent.
//
// It has Windows' rules and gives Windows' answers, down to the leading error code of the diagnostic message, where they are
// documented or published: simple binds with sub-codes, base reads of <GUID=...> and <SID=...>, constructed attributes, the
// password rules of unicodePwd (MS-ADTS 3.1.1.3.1.5), policy hints (3.1.1.3.4.1.27), lockout, delegation, and the protection of
// administrators (3.1.1.6.1). A contract suite holds it against a real controller.
//
// The server takes connections from anybody who can reach its address and its passwords are known: listen on loopback.
//
//	server, err := adtest.New(adtest.Options{Domain: adtest.Corp()})
//	defer server.Close()
//	server.Addr(), server.CAPool()
package adtest
