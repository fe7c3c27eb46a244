package kerberos_test

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/types"

	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

// A length, the MD5 of the binding with its empty addresses, and the flags mutual and integrity (RFC 4121 4.1.1). The hash was computed with
// another program.
func TestTheAuthenticatorCarriesTheBinding(t *testing.T) {
	data := []byte("tls-server-end-point:")
	for i := range byte(32) {
		data = append(data, i)
	}
	const want = "10000000" + "8f1214c9c9cab8dc3bf866da9aba57a7" + "12000000"
	if got := hex.EncodeToString(kerberos.Checksum(data)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func key(fill byte) types.EncryptionKey {
	return types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: slices.Repeat([]byte{fill}, 32)}
}

// acceptor plays the controller's side.
type acceptor struct {
	session, own types.EncryptionKey
}

// reply makes the token with the AP-REP.
func (a acceptor) reply(t testing.TB, seconds int64, microseconds int) []byte {
	t.Helper()
	part, err := asn1.Marshal(messages.EncAPRepPart{CTime: time.Unix(seconds, 0).UTC(), Cusec: microseconds, Subkey: a.own})
	must(t, err)
	sealed, err := crypto.GetEncryptedData(asn1tools.AddASNAppTag(part, asnAppTag.EncAPRepPart), a.session, keyusage.AP_REP_ENCPART, 0)
	must(t, err)
	encoded, err := asn1.Marshal(messages.APRep{PVNO: 5, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})
	must(t, err)
	encoded = asn1tools.AddASNAppTag(encoded, asnAppTag.APREP)
	content := slices.Concat([]byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02, 0x02, 0x00}, encoded)
	if len(content) > 0x7f && len(content) <= 0xff {
		return slices.Concat([]byte{0x60, 0x81, byte(len(content))}, content)
	}
	return slices.Concat([]byte{0x60, 0x82, byte(len(content) >> 8), byte(len(content))}, content)
}

// offer makes the wrap token that names the security layers, rotated as different controllers do.
func (a acceptor) offer(t testing.TB, layers []byte, rotation int) []byte {
	t.Helper()
	token := gssapi.WrapToken{Flags: 1 | 4, EC: 12, SndSeqNum: 7, Payload: layers}
	must(t, token.SetCheckSum(a.own, keyusage.GSSAPI_ACCEPTOR_SEAL))
	encoded, err := token.Marshal()
	must(t, err)
	body := encoded[16:]
	at := len(body) - rotation%len(body)
	rotated := slices.Concat(encoded[:16], body[at:], body[:at])
	binary.BigEndian.PutUint16(rotated[6:], uint16(rotation))
	return rotated
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// begun is a bind whose first token was sent.
func begun(t *testing.T) (kerberos.Context, acceptor) {
	t.Helper()
	side := acceptor{session: key(1), own: key(2)}
	context := kerberos.TicketWith(side.session).Initiate(kerberos.Binding("x:y"))
	token, more, err := context.InitSecContext("", nil)
	must(t, err)
	if !more || len(token) == 0 || token[0] != 0x60 {
		t.Fatalf("first token %x, more %v", token, more)
	}
	return context, side
}

func TestTheControllerMustProveItself(t *testing.T) {
	for name, answer := range map[string]func(*testing.T, acceptor, int64, int) []byte{
		"another time":        func(t *testing.T, a acceptor, s int64, us int) []byte { return a.reply(t, s+1, us) },
		"another microsecond": func(t *testing.T, a acceptor, s int64, us int) []byte { return a.reply(t, s, us+1) },
		"another key": func(t *testing.T, a acceptor, s int64, us int) []byte {
			a.session = key(9)
			return a.reply(t, s, us)
		},
		"nothing": func(*testing.T, acceptor, int64, int) []byte { return []byte{} },
		"a first token": func(t *testing.T, a acceptor, s int64, us int) []byte {
			token := a.reply(t, s, us)
			return []byte(strings.Replace(string(token), "\x01\x02\x02\x02\x00", "\x01\x02\x02\x01\x00", 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			context, side := begun(t)
			seconds, microseconds := kerberos.Sent(context)
			if _, _, err := context.InitSecContext("", answer(t, side, seconds, microseconds)); err == nil {
				t.Error("accepted")
			}
			if _, err := context.NegotiateSaslAuth(side.offer(t, []byte{1, 0, 0, 0}, 0), ""); !errors.Is(err, kerberos.ErrNotMutual) {
				t.Errorf("the bind goes on: %v", err)
			}
		})
	}
}

func TestNoSecurityLayerIsChosen(t *testing.T) {
	for name, row := range map[string]struct {
		layers   []byte
		rotation int
		want     error
	}{
		"all layers, as Samba sends them":   {[]byte{7, 0, 255, 255}, 0, nil},
		"all layers, as Windows sends them": {[]byte{7, 0, 255, 255}, 12, nil},
		"rotated beyond the end":            {[]byte{1, 0, 0, 0}, 1000, nil},
		"a layer is demanded":               {[]byte{6, 0, 255, 255}, 0, kerberos.ErrSecurityLayer},
	} {
		t.Run(name, func(t *testing.T) {
			context, side := begun(t)
			seconds, microseconds := kerberos.Sent(context)
			_, more, err := context.InitSecContext("", side.reply(t, seconds, microseconds))
			must(t, err)
			if more {
				t.Error("more is asked for")
			}
			choice, err := context.NegotiateSaslAuth(side.offer(t, row.layers, row.rotation), "")
			if !errors.Is(err, row.want) {
				t.Fatalf("error %v, want %v", err, row.want)
			}
			if row.want == nil {
				side.wants(t, choice, []byte{1, 0, 0, 0})
			}
		})
	}
}

// wants checks the initiator's last token.
func (a acceptor) wants(t *testing.T, token, content []byte) {
	t.Helper()
	var got gssapi.WrapToken
	must(t, got.Unmarshal(token, false))
	if valid, err := got.Verify(a.own, keyusage.GSSAPI_INITIATOR_SEAL); !valid || err != nil {
		t.Errorf("signature: %v", err)
	}
	if got.Flags != 4 || !slices.Equal(got.Payload, content) {
		t.Errorf("flags %d, content %x", got.Flags, got.Payload)
	}
}

func TestWrapTokensThatAreRefused(t *testing.T) {
	side := acceptor{own: key(2)}
	good := side.offer(t, []byte{1, 0, 0, 0}, 0)
	if _, err := kerberos.Unwrap(good, side.own, true); err != nil {
		t.Fatal(err)
	}
	change := func(at int, to byte) []byte {
		changed := slices.Clone(good)
		changed[at] = to
		return changed
	}
	for name, token := range map[string][]byte{
		"empty": nil, "header only": good[:16], "cut": good[:len(good)-1], "kind": change(1, 5), "filler": change(3, 0),
		"from an initiator": change(2, 4), "sealed": change(2, 7), "another key": change(2, 1), "checksum too long": change(4, 255),
		"content": change(16, 2), "checksum": change(len(good)-1, good[len(good)-1]^1), "number": change(15, 8),
	} {
		if got, err := kerberos.Unwrap(token, side.own, true); err == nil {
			t.Errorf("%s: %x", name, got)
		}
	}
}

func FuzzUnwrap(f *testing.F) {
	side := acceptor{own: key(2)}
	f.Add(side.offer(f, []byte{1, 0, 0, 0}, 0))
	f.Add(side.offer(f, []byte{1, 0, 0, 0}, 12))
	f.Add([]byte{5, 4, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, token []byte) {
		content, err := kerberos.Unwrap(token, side.own, true)
		if err == nil && !slices.Equal(content, []byte{1, 0, 0, 0}) {
			t.Errorf("signed by nobody: %x", content)
		}
	})
}

// Whatever a controller answers, nobody but the holder of the ticket's key is believed, and nothing panics.
func FuzzControllersAnswer(f *testing.F) {
	side := acceptor{session: key(1), own: key(2)}
	f.Add(side.reply(f, 1, 2))
	f.Add([]byte{0x60, 0x81})
	f.Add([]byte{0x60, 0xff, 0x06})
	f.Fuzz(func(t *testing.T, answer []byte) {
		context := kerberos.TicketWith(side.session).Initiate(nil)
		_, _, err := context.InitSecContext("", nil)
		must(t, err)
		if answer == nil {
			answer = []byte{}
		}
		if _, _, err := context.InitSecContext("", answer); err == nil {
			t.Errorf("believed: %x", answer)
		}
	})
}
