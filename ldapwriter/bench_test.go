package ldapwriter_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// BenchmarkReset compares a reset through this package with bare go-ldap that sends the same LDAP messages one after the other, and with
// a bare Modify alone, each on as many connections as there are workers.
func BenchmarkReset(b *testing.B) {
	for _, workers := range []int{1, 4} {
		fake := startFake(b, func(o *adtest.Options) { o.Domain.Policy = adtest.Policy{} })
		d := fake.directory(b, func(c *ldapwriter.DomainConfig) { c.Connections = workers })
		guids := guidsOf(b, fake)
		b.Run(fmt.Sprintf("directory/workers=%d", workers), func(b *testing.B) {
			run(b, workers, func(_ *ldap.Conn, i int64) error {
				account, err := d.Resolve(context.Background(), writeback.Subject{Kind: writeback.ByGUID, Value: guids[i%int64(len(guids))]})
				if err != nil {
					return err
				}
				return d.Write(context.Background(), account, reset(fmt.Sprintf("Bench-Wort %d", i)))
			}, nil)
		})
		b.Run(fmt.Sprintf("same messages/workers=%d", workers), func(b *testing.B) {
			run(b, workers, func(conn *ldap.Conn, i int64) error {
				dn := "<GUID=" + guids[i%int64(len(guids))] + ">"
				if _, err := conn.Search(baseRead("", "currentTime")); err != nil {
					return err
				}
				if _, err := conn.Search(baseRead(dn, everything()...)); err != nil {
					return err
				}
				return conn.Modify(bareReset(dn, i))
			}, fake)
		})
		b.Run(fmt.Sprintf("bare modify/workers=%d", workers), func(b *testing.B) {
			run(b, workers, func(conn *ldap.Conn, i int64) error {
				return conn.Modify(bareReset("<GUID="+guids[i%int64(len(guids))]+">", i))
			}, fake)
		})
	}
}

// run does b.N operations with a number of workers, each with a connection of its own where fake is given.
func run(b *testing.B, workers int, operation func(conn *ldap.Conn, i int64) error, fake *controller) {
	b.Helper()
	conns := make([]*ldap.Conn, workers)
	for i := range conns {
		if fake == nil {
			continue
		}
		conns[i] = fake.dial(b)
		defer conns[i].Close()
		if err := conns[i].Bind(serviceUser, fake.servicePassword); err != nil {
			b.Fatal(err)
		}
	}
	var next atomic.Int64
	failures := make(chan error, workers)
	b.ResetTimer()
	for _, conn := range conns {
		go func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := operation(conn, i); err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	for range conns {
		if err := <-failures; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "resets/s")
}

func guidsOf(b *testing.B, fake *controller) []string {
	b.Helper()
	var guids []string
	for _, login := range []string{"alice", "bob", "carol", "dave", "erin"} {
		state, ok := fake.fake.User(login)
		if !ok {
			b.Fatal("no " + login)
		}
		guids = append(guids, state.GUID.String())
	}
	return guids
}

func everything() []string {
	return []string{
		"objectGUID", "objectSid", "objectClass", "sAMAccountName", "userPrincipalName", "userAccountControl",
		"msDS-User-Account-Control-Computed", "accountExpires", "adminCount", "primaryGroupID", "tokenGroups", "mS-DS-ConsistencyGuid",
		"replPropertyMetaData", "msDS-KeyVersionNumber", "pwdLastSet", "whenChanged", "lockoutTime", "badPwdCount", "msDS-ResultantPSO",
	}
}

func baseRead(dn string, attributes ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 2, 0, false, "(objectClass=*)", attributes, nil)
}

func bareReset(dn string, i int64) *ldap.ModifyRequest {
	var value []byte
	for _, unit := range utf16.Encode([]rune(fmt.Sprintf("\"Bench-Wort %d\"", i))) {
		value = binary.LittleEndian.AppendUint16(value, unit)
	}
	request := ldap.NewModifyRequest(dn, []ldap.Control{bareHints{}})
	request.Replace("unicodePwd", []string{string(value)})
	return request
}

// bareHints is the policy-hints control without this package.
type bareHints struct{}

func (bareHints) GetControlType() string { return "1.2.840.113556.1.4.2239" }
func (bareHints) String() string         { return "policy hints" }
func (bareHints) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "1.2.840.113556.1.4.2239", ""))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, ""))
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "\x30\x03\x02\x01\x01", ""))
	return p
}
