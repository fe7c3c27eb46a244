package ldapwriter_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// BenchmarkReset compares a reset through this package with bare go-ldap that sends the same LDAP messages, one after the other, on as
// many connections. Both take short turns within one run, so that whatever else the machine does weighs on both: "ratio" is our rate
// divided by the bare one, the median of all rounds. "of-modify" is the same for bare Modifies alone.
func BenchmarkReset(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			c := startFake(b, func(o *adtest.Options) { o.Domain.Policy = adtest.Policy{} })
			contest := newContest(b, c, workers, 40)
			b.ResetTimer()
			for done := 0; done < b.N; done += contest.turn {
				contest.round(min(contest.turn, b.N-done))
			}
			contest.report(b.N)
		})
	}
}

// BenchmarkResetOnSamba is the same against the real controller, whose own work is nearly all of it; there "of-modify" is what counts. A
// reset takes some 40 ms, so the number of rounds is fixed: one benchmark iteration is the whole contest.
func BenchmarkResetOnSamba(b *testing.B) {
	const rounds = 15
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			contest := newContest(b, openSamba(b), workers, 8)
			b.ResetTimer()
			for range b.N * rounds {
				contest.round(contest.turn)
			}
			contest.report(b.N * rounds * contest.turn)
		})
	}
}

// contest is between the sides of a benchmark: this package, the same messages bare, and bare Modifies.
type contest struct {
	b       *testing.B
	workers int
	turn    int // how many resets one side does before the others have theirs
	sides   []func(worker int, i int64) error
	rounds  int
	next    atomic.Int64

	spent            [3]time.Duration
	ratios, ofModify []float64
}

func newContest(b *testing.B, c *controller, workers, turn int) *contest {
	b.Helper()
	d := c.directory(b, func(config *ldapwriter.DomainConfig) { config.Connections = workers })
	guids := guidsOf(b, d)
	conns := bound(b, c, workers)
	guid := func(i int64) string { return guids[i%int64(len(guids))] }
	contest := &contest{b: b, workers: workers, turn: turn, sides: []func(worker int, i int64) error{
		func(_ int, i int64) error { return resetThrough(d, guid(i), i) },
		func(worker int, i int64) error { return bareMessages(conns[worker], guid(i), i) },
		func(worker int, i int64) error { return conns[worker].Modify(bareReset("<GUID="+guid(i)+">", i)) },
	}}
	for _, side := range contest.sides { // connections and policies are there before the clock runs
		work(b, workers, turn, &contest.next, side)
	}
	return contest
}

// round gives every side a turn; nobody is always the first.
func (c *contest) round(count int) {
	c.b.Helper()
	var took [3]time.Duration
	for i := range c.sides {
		side := (c.rounds + i) % len(c.sides)
		took[side] = work(c.b, c.workers, count, &c.next, c.sides[side])
		c.spent[side] += took[side]
	}
	c.rounds++
	c.ratios = append(c.ratios, took[1].Seconds()/took[0].Seconds())
	c.ofModify = append(c.ofModify, took[2].Seconds()/took[0].Seconds())
}

func (c *contest) report(resets int) {
	c.b.ReportMetric(float64(resets)/c.spent[0].Seconds(), "resets/s")
	c.b.ReportMetric(median(c.ratios), "ratio")
	c.b.ReportMetric(median(c.ofModify), "of-modify")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// work has a number of workers do count operations, and returns how long they took.
func work(b *testing.B, workers, count int, next *atomic.Int64, operation func(worker int, i int64) error) time.Duration {
	b.Helper()
	begun := time.Now()
	last := next.Load() + int64(count)
	failures := make(chan error, workers)
	for worker := range workers {
		go func() {
			var err error
			for i := next.Add(1); i <= last && err == nil; i = next.Add(1) {
				err = operation(worker, i)
			}
			failures <- err
		}()
	}
	for range workers {
		if err := <-failures; err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(begun)
}

func bound(b *testing.B, c *controller, count int) []*ldap.Conn {
	b.Helper()
	var conns []*ldap.Conn
	for range count {
		conn := c.dial(b)
		b.Cleanup(func() { _ = conn.Close() })
		if err := conn.Bind(serviceUser, c.servicePassword); err != nil {
			b.Fatal(err)
		}
		conns = append(conns, conn)
	}
	return conns
}

func resetThrough(d *ldapwriter.Directory, guid string, i int64) error {
	account, err := d.Resolve(context.Background(), writeback.Subject{Kind: writeback.ByGUID, Value: guid})
	if err != nil {
		return err
	}
	return d.Write(context.Background(), account, reset(fmt.Sprintf("Bench-Wort %d", i)))
}

// bareMessages are those of a reset by GUID: the rootDSE, the account, the Modify.
func bareMessages(conn *ldap.Conn, guid string, i int64) error {
	dn := "<GUID=" + guid + ">"
	if _, err := conn.Search(baseRead("", "(objectClass=*)", "currentTime")); err != nil {
		return err
	}
	account := baseRead(dn, "(&(objectCategory=person)(objectClass=user)(!(objectClass=computer)))", ldapwriter.AccountAttributes()...)
	if _, err := conn.Search(account); err != nil {
		return err
	}
	return conn.Modify(bareReset(dn, i))
}

func guidsOf(b *testing.B, d *ldapwriter.Directory) []string {
	b.Helper()
	var guids []string
	for _, login := range []string{"alice", "bob", "carol", "dave", "erin"} {
		guids = append(guids, person(b, d, login).GUID.String())
	}
	return guids
}

func baseRead(dn, filter string, attributes ...string) *ldap.SearchRequest {
	controls := []ldap.Control{bareControl{oid: "1.2.840.113556.1.4.1339"}}
	return ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 2, 0, false, filter, attributes, controls)
}

func bareReset(dn string, i int64) *ldap.ModifyRequest {
	var value []byte
	for _, unit := range utf16.Encode([]rune(fmt.Sprintf("\"Bench-Wort %d\"", i))) {
		value = binary.LittleEndian.AppendUint16(value, unit)
	}
	request := ldap.NewModifyRequest(dn, []ldap.Control{bareControl{"1.2.840.113556.1.4.2239", "\x30\x03\x02\x01\x01"}})
	request.Replace("unicodePwd", []string{string(value)})
	return request
}

// bareControl is a critical control without this package.
type bareControl struct{ oid, value string }

func (c bareControl) GetControlType() string { return c.oid }
func (c bareControl) String() string         { return c.oid }
func (c bareControl) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, c.oid, ""))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, ""))
	if c.value != "" {
		p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, c.value, ""))
	}
	return p
}
