package requester_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/requester"
)

// host is an agent with keys of its own that knows a portal's keys.
type host struct {
	sealing, signing envelope.PrivateKey
	opener           *envelope.Opener
	signer           *envelope.ResultSigner
}

func newHost(t *testing.T, portal ...envelope.PublicKey) host {
	t.Helper()
	var h host
	var err error
	h.sealing, err = envelope.GenerateSealingKey()
	must(t, err)
	h.signing, err = envelope.GenerateSigningKey()
	must(t, err)
	h.opener, err = envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: portal}, SealingKeys: []envelope.PrivateKey{h.sealing},
	})
	must(t, err)
	h.signer, err = envelope.NewResultSigner(agent, h.signing)
	must(t, err)
	return h
}

// opens reports whether the host can open a message; other hosts need not be able to.
func (h host) opens(t *testing.T, n *network, i int) bool {
	t.Helper()
	verified, err := h.opener.Verify(n.sent[i].token)
	if err != nil {
		return false
	}
	_, err = h.opener.Decrypt(verified)
	return err == nil
}

func TestAnAgentChangesItsKeysWhileRequestsAreUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		renewed := newHost(t, n.config.SigningKey.Public())
		ping := func() (requester.Result, error) { return client.Ping(t.Context()) }
		before := ask(ping)
		synctest.Wait()

		both := slices.Concat(n.config.Agents, exported(t, renewed.sealing, renewed.signing))
		must(t, client.SetAgents(both))
		during := ask(ping)
		synctest.Wait()
		if renewed.opens(t, n, 0) || !renewed.opens(t, n, 1) {
			t.Error("a request is not sealed for the keys of its time")
		}
		n.answer(n.signer, n.request(0).Claims, writeback.OK, nil)       // what was asked before is answered
		n.answer(renewed.signer, n.request(1).Claims, writeback.OK, nil) // by either key
		must(t, (<-before).err)
		must(t, (<-during).err)

		must(t, client.SetAgents(exported(t, renewed.sealing, renewed.signing)))
		after := ask(ping)
		synctest.Wait()
		verified, err := n.opener.Verify(n.sent[2].token)
		must(t, err)
		if _, err := n.opener.Decrypt(verified); writeback.ReasonOf(err) != writeback.EnvelopeNotForUs {
			t.Errorf("a request is still sealed for the key that was left out: %v", err)
		}
		n.answer(n.signer, verified.Claims(), writeback.OK, nil) // the old key is not believed any more
		n.answer(renewed.signer, verified.Claims(), writeback.OK, nil)
		must(t, (<-after).err)
		if stats := client.Stats(); stats.Results != 3 || stats.Unverifiable != 1 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestAPortalChangesItsKey(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		next, err := envelope.GenerateSigningKey()
		must(t, err)
		old, renewed := newHost(t, n.config.SigningKey.Public()), newHost(t, n.config.SigningKey.Public(), next.Public())
		must(t, client.SetAgents(exported(t, old.sealing, old.signing, renewed.sealing, renewed.signing)))
		before := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		must(t, client.SetSigningKey(next))
		after := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		if !old.opens(t, n, 0) || !renewed.opens(t, n, 0) || old.opens(t, n, 1) || !renewed.opens(t, n, 1) {
			t.Error("the new key does not sign from the change on")
		}
		for i, reply := range []<-chan reply{before, after} { // an answer to what the old key signed is believed
			verified, err := renewed.opener.Verify(n.sent[i].token)
			must(t, err)
			n.answer(renewed.signer, verified.Claims(), writeback.OK, nil)
			must(t, (<-reply).err)
		}
		if got := client.Keys(); got.SigningKey.KeyID() != next.KeyID() || len(got.Agents) != 4 {
			t.Errorf("the signing key is %s, with %d keys of agents", got.SigningKey.KeyID(), len(got.Agents))
		}
	})
}

func TestKeysThatDoNotServeLeaveTheEarlierOnes(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		sealing := newHost(t).sealing
		for name, set := range map[string]func() error{
			"no agents":        func() error { return client.SetAgents(nil) },
			"no signing agent": func() error { return client.SetAgents(n.config.Agents[:1]) },
			"no key":           func() error { return client.SetSigningKey(requester.PrivateKey{}) },
			"a sealing key":    func() error { return client.SetSigningKey(sealing) },
			"nothing":          func() error { return client.SetKeys(requester.Keys{}) },
		} {
			var fault *requester.Error
			if err := set(); !errors.As(err, &fault) || fault.Remedy() == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.OK, nil)
		must(t, (<-done).err)
	})
}

func TestAKeyThatStandsTwiceIsSealedForOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		must(t, client.SetAgents(slices.Repeat(n.config.Agents, 100))) // more than a request may be sealed for
		set, err := envelope.EncodePublicKeys(n.config.Agents, group+"/other")
		must(t, err)
		stolen, err := requester.ParseAgents(set)
		must(t, err)
		var fault *requester.Error
		if err := client.SetAgents(slices.Concat(n.config.Agents, stolen)); !errors.As(err, &fault) {
			t.Errorf("one key of two agents: %v", err)
		}
	})
}
