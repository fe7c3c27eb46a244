package adtest

import (
	"context"
	"io"
	"net"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// Controls (MS-ADTS 3.1.1.3.4.1).
const (
	policyHints           = "1.2.840.113556.1.4.2239"
	deprecatedPolicyHints = "1.2.840.113556.1.4.2066"
	domainScope           = "1.2.840.113556.1.4.1339"
	descriptorFlags       = "1.2.840.113556.1.4.801"
)

// session is one connection.
type session struct {
	server *Server
	conn   net.Conn
	bound  *entry // nil: anonymous

	plain    bool // not encrypted yet
	upgraded bool // TLS begins after this answer
}

// handle answers one message; false ends the connection.
func (c *session) handle(m *message) bool {
	if c.unknownCritical(m) {
		return c.reply(m, responseTo(m.op.Tag), unknownControl())
	}
	switch m.op.Tag {
	case opUnbind:
		return false
	case opAbandon:
		return true
	case opBindRequest:
		c.server.binds.Add(1)
		return c.withFault(OnBind, m, func() []byte { return envelope(m.id, c.bind(m).packet(opBindResponse)) })
	case opSearchRequest:
		c.server.operations.Add(1)
		return c.withFault(OnSearch, m, func() []byte { return c.search(m) })
	case opModifyRequest:
		c.server.operations.Add(1)
		return c.withFault(OnModify, m, func() []byte { return envelope(m.id, c.modify(m).packet(opModifyResponse)) })
	case opExtendedRequest:
		return c.send(envelope(m.id, c.extended(m)))
	}
	return c.reply(m, responseTo(m.op.Tag), unwilling())
}

// responseTo returns the response that belongs to a request.
func responseTo(op ber.Tag) ber.Tag {
	switch op {
	case opSearchRequest:
		return opSearchDone
	case opExtendedRequest:
		return opExtendedResponse
	}
	return op + 1
}

func (c *session) reply(m *message, op ber.Tag, a answer) bool {
	return c.send(envelope(m.id, a.packet(op)))
}

func (c *session) send(b []byte) bool {
	_, err := c.conn.Write(b)
	return err == nil
}

// withFault carries an operation out, unless a fault strikes it.
func (c *session) withFault(on Operation, m *message, operation func() []byte) bool {
	f := c.server.faults.strike(on)
	if f == nil {
		return c.send(operation())
	}
	switch f.Effect {
	case Delay:
		c.pause(f.For, nil)
	case Hang:
		c.pause(0, f.removed)
	case DropBefore:
		return false
	case DropAfter:
		operation()
		return false
	case Say:
		_, err := io.Copy(c.conn, f.Raw(m.id))
		return err == nil
	case Answer:
		return c.reply(m, responseTo(m.op.Tag), answer{int64(f.Code), f.Diagnostic})
	}
	return c.send(operation())
}

// pause waits for a time or an event, or until the server is closed.
func (c *session) pause(d time.Duration, event <-chan struct{}) {
	ctx := c.server.context
	if event == nil {
		limited, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		ctx = limited
	}
	select {
	case <-event:
	case <-ctx.Done():
	}
}

// known lists the controls this controller offers in supportedControl.
func (c *session) known() []string {
	controls := []string{descriptorFlags}
	if !c.server.options.WithoutDomainScope {
		controls = append(controls, domainScope)
	}
	if c.server.options.WithoutPolicyHints {
		return controls
	}
	controls = append(controls, deprecatedPolicyHints)
	if !c.server.options.DeprecatedPolicyHints {
		controls = append(controls, policyHints)
	}
	return controls
}

func (c *session) unknownCritical(m *message) bool {
	for _, control := range m.controls {
		if control.critical && !contains(c.known(), control.oid) {
			return true
		}
	}
	return false
}

func contains(list []string, s string) bool {
	for _, each := range list {
		if each == s {
			return true
		}
	}
	return false
}

// has reports whether a control was sent that this controller knows, and obeys: a critical one.
func (c *session) has(m *message, oids ...string) (control, bool) {
	for _, control := range m.controls {
		if control.critical && contains(oids, control.oid) && contains(c.known(), control.oid) {
			return control, true
		}
	}
	return control{}, false
}

// bind is a simple bind by distinguished name, user principal name or DOMAIN\name (MS-ADTS 5.1.1.1.1).
func (c *session) bind(m *message) answer {
	c.bound = nil
	if c.plain {
		return answer{strongAuthRequired, "00002028: LdapErr: DSID-0C090259, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563\x00"}
	}
	name, credentials := child(m.op, 1), child(m.op, 2)
	if credentials == nil || len(m.op.Children) != 3 {
		return malformedRequest()
	}
	if credentials.ClassType != ber.ClassContext || credentials.Tag != 0 {
		return answer{authMethodNotSupported, "00002027: LdapErr: DSID-0C090590, comment: Invalid Authentication method, data 0, v4563\x00"}
	}
	if text(name) == "" && text(credentials) == "" {
		return done()
	}
	d := c.server.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.principal(text(name))
	if e == nil || e.account == nil || text(credentials) == "" {
		return badBind("52e")
	}
	if data := e.account.logOn(text(credentials), d.policyOf(e), c.server.options.Clock()); data != "" {
		return badBind(data)
	}
	c.bound = e
	return done()
}

// principal finds whom a bind names.
func (d *directory) principal(name string) *entry {
	if netbios, login, found := strings.Cut(name, `\`); found && strings.EqualFold(netbios, d.domain.NetBIOSName) {
		return d.byLogin[strings.ToLower(login)]
	}
	for _, e := range d.entries {
		if upn := e.fixed["userPrincipalName"]; len(upn) == 1 && strings.EqualFold(upn[0], name) {
			return e
		}
	}
	return d.find(name)
}

// find returns the object a distinguished name, <GUID=...> or <SID=...> names; nil: none, or not a name.
func (d *directory) find(dn string) *entry {
	if inner, found := strings.CutPrefix(dn, "<GUID="); found {
		guid, err := writeback.ParseGUID(strings.TrimSuffix(inner, ">"))
		if err != nil {
			return nil
		}
		return d.byGUID[guid]
	}
	if inner, found := strings.CutPrefix(dn, "<SID="); found {
		return d.bySID[strings.TrimSuffix(inner, ">")]
	}
	key, err := ldapwriter.NormalizeDN(dn)
	if err != nil {
		return nil
	}
	return d.byName[key]
}

// extended knows StartTLS (RFC 4511 section 4.14) and "Who am I?" (RFC 4532).
func (c *session) extended(m *message) *ber.Packet {
	if name := child(m.op, 0); name != nil && text(name) == "1.3.6.1.4.1.1466.20037" && c.plain {
		c.plain, c.upgraded = false, true
		return done().packet(opExtendedResponse)
	}
	if name := child(m.op, 0); name == nil || text(name) != "1.3.6.1.4.1.4203.1.11.3" {
		return malformedRequest().packet(opExtendedResponse)
	}
	p := done().packet(opExtendedResponse)
	identity := ""
	if c.bound != nil {
		identity = "u:" + c.server.dir.domain.NetBIOSName + `\` + c.bound.account.login
	}
	p.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 11, identity, ""))
	return p
}
