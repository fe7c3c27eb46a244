package kerberos_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/iana/patype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

// kdc plays a KDC whose answers are given; it keeps the requests. An answer of nil closes the connection without one.
type kdc struct {
	address string

	mu       sync.Mutex
	answers  [][]byte
	requests []messages.ASReq
}

func startKDC(t *testing.T, answers ...[]byte) *kdc {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	k := &kdc{address: listener.Addr().String(), answers: answers}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			k.serve(conn)
		}
	})
	t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	return k
}

func (k *kdc) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return
	}
	content := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(conn, content); err != nil {
		return
	}
	var request messages.ASReq
	_ = request.Unmarshal(content)
	k.mu.Lock()
	k.requests = append(k.requests, request)
	var answer []byte
	if len(k.answers) > 0 {
		answer, k.answers = k.answers[0], k.answers[1:]
	}
	k.mu.Unlock()
	if answer != nil {
		_, _ = conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
	}
}

// asked returns how many requests came, and how many with a proof.
func (k *kdc) asked() (requests, proofs int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, request := range k.requests {
		if request.PAData.Contains(patype.PA_ENC_TIMESTAMP) {
			proofs++
		}
	}
	return len(k.requests), proofs
}

// refuses encodes a KRB-ERROR.
func refuses(t *testing.T, code kerberos.Code, data []byte) []byte {
	t.Helper()
	answer := messages.NewKRBError(types.NewPrincipalName(2, "krbtgt/"+realm), realm, int32(code), "text that anybody may have written")
	answer.STime = answer.STime.Add(time.Hour)
	answer.EData = data
	encoded, err := answer.Marshal()
	must(t, err)
	return encoded
}

// demands is a KDC's demand for a proof under a key of the given type and parameters.
func demands(t *testing.T, kind int32, parameters []byte) []byte {
	t.Helper()
	info, err := asn1.Marshal(types.ETypeInfo2{{EType: kind, Salt: realm + "alice", S2KParams: parameters}})
	must(t, err)
	data, err := asn1.Marshal(types.PADataSequence{{PADataType: patype.PA_ETYPE_INFO2, PADataValue: info}})
	must(t, err)
	return refuses(t, kerberos.NeedsProof, data)
}

func check(t *testing.T, address string) (bool, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return kerberos.Check(ctx, (&net.Dialer{}).DialContext, address, "alice", realm, secret.NewString("1357-2468"))
}

// A wrong password must count once: whatever the KDC answers, one proof leaves.
func TestAPasswordIsTriedOnce(t *testing.T) {
	for _, code := range []kerberos.Code{
		kerberos.WrongKey, kerberos.NeedsProof, kerberos.ClockSkew, kerberos.Revoked, kerberos.PasswordExpired, kerberos.WrongRealm, 60,
	} {
		k := startKDC(t, demands(t, 18, nil), refuses(t, code, nil))
		counted, err := check(t, k.address)
		var refusal *kerberos.Refusal
		if !errors.As(err, &refusal) || refusal.Code != code || !refusal.Proven || !counted {
			t.Errorf("%d: counted %v, %v", code, counted, err)
			continue
		}
		if requests, proofs := k.asked(); requests != 2 || proofs != 1 {
			t.Errorf("%d: %d requests, %d proofs", code, requests, proofs)
		}
		if minutes := refusal.Ahead.Round(time.Minute).Minutes(); minutes != 60 || strings.Contains(err.Error(), "anybody") {
			t.Errorf("%d: the KDC's clock is %v minutes ahead; %v", code, minutes, err)
		}
	}
}

func TestNoProofLeavesWhereNoneIsAskedFor(t *testing.T) {
	for name, answer := range map[string][]byte{
		"unknown":             refuses(t, kerberos.UnknownAccount, nil),
		"revoked":             refuses(t, kerberos.Revoked, nil),
		"expired":             refuses(t, kerberos.PasswordExpired, nil),
		"a demand, no hint":   refuses(t, kerberos.NeedsProof, nil),
		"RC4 only":            demands(t, 23, nil),
		"a thousandfold work": demands(t, 18, []byte{0, 0x40, 0, 0}),
		"no answer":           nil,
		"not Kerberos":        []byte("HTTP/1.1 400 Bad Request"),
		"empty":               {},
	} {
		k := startKDC(t, answer)
		counted, err := check(t, k.address)
		if requests, proofs := k.asked(); err == nil || counted || requests != 1 || proofs != 0 {
			t.Errorf("%s: counted %v, %d requests, %d proofs, %v", name, counted, requests, proofs, err)
		}
	}
}

// A reply that the account's key does not decrypt proves nothing: anybody can send one.
func TestAForgedReplyProvesNothing(t *testing.T) {
	reply := messages.ASRep{KDCRepFields: messages.KDCRepFields{
		PVNO: 5, MsgType: 11, CRealm: realm, CName: types.NewPrincipalName(1, "alice"),
		Ticket:  messages.Ticket{TktVNO: 5, Realm: realm, SName: types.NewPrincipalName(2, "krbtgt/"+realm), EncPart: types.EncryptedData{EType: 18, Cipher: make([]byte, 60)}},
		EncPart: types.EncryptedData{EType: 18, Cipher: make([]byte, 200)},
	}}
	forged, err := reply.Marshal()
	must(t, err)
	reply.EncPart.Cipher = []byte{1}
	short, err := reply.Marshal()
	must(t, err)
	for name, answer := range map[string][]byte{"forged": forged, "too short": short} {
		counted, err := check(t, startKDC(t, answer).address)
		if err == nil || counted {
			t.Errorf("%s, at once: counted %v, %v", name, counted, err)
		}
		counted, err = check(t, startKDC(t, demands(t, 18, nil), answer).address)
		if err == nil || !counted {
			t.Errorf("%s, after the proof: counted %v, %v", name, counted, err)
		}
	}
}

// The next KDC is asked only where nothing was sent to the one before.
func TestFailoverOfKDCs(t *testing.T) {
	content := secret.New(keytab(entry(kerberos.Key{Principal: "alice", Realm: realm, Version: 1, Type: 18, Value: strings.Repeat("k", 32)})))
	closed := startKDC(t)
	second := startKDC(t, refuses(t, kerberos.UnknownAccount, nil))
	third := startKDC(t, refuses(t, kerberos.WrongKey, nil))
	client := kerberos.Client{User: "alice", Realm: realm}
	unreachable := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == closed.address {
			return nil, errors.New("connection refused")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	_, err := client.Ticket(t.Context(), unreachable, content, "ldap/dc1", []string{closed.address, second.address, third.address})
	var refusal *kerberos.Refusal
	if !errors.As(err, &refusal) || refusal.Code != kerberos.UnknownAccount {
		t.Errorf("error %v, want that of the second", err)
	}
	if requests, _ := third.asked(); requests != 0 {
		t.Error("the third was asked after the second had answered")
	}
	_, err = client.Ticket(t.Context(), unreachable, content, "ldap/dc1", []string{closed.address})
	if !errors.Is(err, kerberos.ErrNotReached) {
		t.Errorf("error %v", err)
	}
}

func TestAHangingKDCIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts; nobody answers
	must(t, err)
	defer listener.Close()
	reason := errors.New("had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		cancel(reason)
		return conn, err
	}
	if _, err := kerberos.Check(ctx, dial, listener.Addr().String(), "alice", realm, secret.NewString("x")); !errors.Is(err, reason) {
		t.Errorf("error %v", err)
	}
}

// A ticket is kept until shortly before its end, and as long as the keytab stays the same.
func TestTicketsAreKeptAndRenewed(t *testing.T) {
	content := keytab(entry(kerberos.Key{Principal: "alice", Realm: realm, Version: 1, Type: 18, Value: strings.Repeat("k", 32)}))
	other := keytab(entry(kerberos.Key{Principal: "alice", Realm: realm, Version: 2, Type: 18, Value: strings.Repeat("l", 32)}))
	for name, row := range map[string]struct {
		ends   time.Duration
		keytab []byte
		spn    string
		forget bool
		kept   bool
	}{
		"fresh":           {10 * time.Hour, content, "ldap/dc1", false, true},
		"near its end":    {9 * time.Minute, content, "ldap/dc1", false, false},
		"a new keytab":    {10 * time.Hour, other, "ldap/dc1", false, false},
		"another service": {10 * time.Hour, content, "ldap/dc2", false, false},
		"thrown away":     {10 * time.Hour, content, "ldap/dc1", true, false},
	} {
		client := kerberos.Client{User: "alice", Realm: realm}
		ends := time.Now().Add(row.ends)
		client.Keep(content, "ldap/dc1", ends)
		if row.forget {
			client.Forget()
		}
		asked := false
		dial := func(context.Context, string, string) (net.Conn, error) {
			asked = true
			return nil, errors.New("no KDC today")
		}
		ticket, err := client.Ticket(t.Context(), dial, secret.New(row.keytab), row.spn, []string{"kdc:88"})
		if asked == row.kept || (err == nil) != row.kept {
			t.Errorf("%s: the KDC was asked: %v; %v", name, asked, err)
		}
		if row.kept && (!ticket.UsableUntil().Before(ends) || ticket.UsableUntil().Before(ends.Add(-10*time.Minute))) {
			t.Errorf("%s: connections may be used until %v, the ticket until %v", name, ticket.UsableUntil(), ends)
		}
	}
}
