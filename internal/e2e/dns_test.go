package e2e_test

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/password-writeback/writeback/internal/sambalab"
)

// startDNS runs a DNS server that knows the controller as the domain's only one, with the port that controllers register, and returns its address. The
// lab's controllers run none of their own.
func startDNS(t *testing.T, samba *sambalab.Lab) (address string) {
	t.Helper()
	at, err := netip.ParseAddrPort(samba.Addr)
	check(t, err)
	host, err := dnsmessage.NewName(samba.Host + ".")
	check(t, err)
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	check(t, err)
	done := make(chan struct{})
	t.Cleanup(func() { _ = socket.Close(); <-done })
	go func() {
		defer close(done)
		for query := make([]byte, 1500); ; {
			n, from, err := socket.ReadFrom(query)
			if err != nil {
				return
			}
			if answer, err := answerDNS(query[:n], host, at.Addr()); err == nil {
				_, _ = socket.WriteTo(answer, from)
			}
		}
	}()
	return socket.LocalAddr().String()
}

func answerDNS(query []byte, host dnsmessage.Name, at netip.Addr) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(query); err != nil {
		return nil, err
	}
	if len(message.Questions) != 1 {
		return nil, errors.New("not one question")
	}
	question := message.Questions[0]
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
	message.Response, message.Authoritative, message.Additionals = true, true, nil
	switch name := strings.ToLower(question.Name.String()); {
	case question.Type == dnsmessage.TypeSRV && strings.HasPrefix(name, "_ldap._tcp.") && strings.Contains(name, "._msdcs."):
		message.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.SRVResource{Port: 389, Target: host}}}
	case question.Type == dnsmessage.TypeA && strings.EqualFold(question.Name.String(), host.String()):
		message.Answers = []dnsmessage.Resource{{Header: head, Body: &dnsmessage.AResource{A: at.As4()}}}
	case question.Type == dnsmessage.TypeAAAA:
	default:
		message.RCode = dnsmessage.RCodeNameError
	}
	return message.Pack()
}
