package ldapwriter_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// dnsServer answers SRV questions from a table. Hosts of *.localhost all are 127.0.0.1.
type dnsServer struct {
	address string
	socket  net.PacketConn

	mu      sync.Mutex
	records map[string][]dnsmessage.SRVResource
	silent  bool
	asked   int
}

func startDNS(t testing.TB) *dnsServer {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dnsServer{address: socket.LocalAddr().String(), socket: socket, records: make(map[string][]dnsmessage.SRVResource)}
	done := make(chan struct{})
	go func() { defer close(done); s.serve() }()
	t.Cleanup(func() { _ = socket.Close(); <-done })
	return s
}

// srv is one record's target: host and port of a fake, with priority and weight.
func srv(t testing.TB, address string, priority, weight uint16) dnsmessage.SRVResource {
	t.Helper()
	target, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	host := "dc-" + strings.ReplaceAll(target.IP.String(), ".", "-") + ".test."
	return dnsmessage.SRVResource{Priority: priority, Weight: weight, Port: uint16(target.Port), Target: dnsmessage.MustNewName(host)}
}

// set replaces the records of a name below the domain's _msdcs.
func (s *dnsServer) set(name string, records ...dnsmessage.SRVResource) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[name+"._msdcs."+corp+"."] = records
}

func (s *dnsServer) setSilent(silent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent = silent
}

// questions counts the questions for records of controllers.
func (s *dnsServer) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *dnsServer) serve() {
	buffer := make([]byte, 1500)
	for {
		n, from, err := s.socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		if answer := s.answer(buffer[:n]); answer != nil {
			_, _ = s.socket.WriteTo(answer, from)
		}
	}
}

func (s *dnsServer) answer(query []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	if err != nil || s.silent {
		return nil
	}
	question, err := parser.Question()
	if err != nil {
		return nil
	}
	header.Response, header.Authoritative = true, true
	reply := dnsmessage.Message{Header: header, Questions: []dnsmessage.Question{question}}
	reply.Answers = s.find(question)
	if len(reply.Answers) == 0 && question.Type == dnsmessage.TypeSRV {
		reply.RCode = dnsmessage.RCodeNameError
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func (s *dnsServer) find(question dnsmessage.Question) []dnsmessage.Resource {
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1}
	var found []dnsmessage.Resource
	name := strings.ToLower(question.Name.String())
	if address, isHost := strings.CutPrefix(strings.TrimSuffix(name, ".test."), "dc-"); isHost && question.Type == dnsmessage.TypeA {
		ip := net.ParseIP(strings.ReplaceAll(address, "-", ".")).To4()
		return append(found, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte(ip)}})
	}
	if question.Type != dnsmessage.TypeSRV {
		return nil
	}
	s.asked++
	for _, record := range s.records[name] {
		found = append(found, dnsmessage.Resource{Header: head, Body: &record})
	}
	return found
}
