package ldapwriter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Discovery finds a domain's controllers by the SRV records they register (MS-ADTS 6.3.2.3): the PDC emulator first, for every agent
// the same writer; then those of the site; then all others.
type Discovery struct {
	// DNSServers are asked for the records and for the controllers' addresses, address or address:port; empty: the system's.
	DNSServers []string
}

// Bounds of discovery.
const (
	discoveryPeriod  = 5 * time.Minute  // a list that is older is looked up again
	discoveryRetry   = 30 * time.Second // after a lookup that failed, where controllers are known
	discoveryTimeout = 2 * time.Second  // of all records from one server
	addressTimeout   = time.Second      // of the address of a controller whose last one is known
	maxDiscovered    = 64               // controllers of one domain
)

// check reports what is wrong with the settings.
func (d *Discovery) check() error {
	var faults []error
	for _, server := range d.DNSServers {
		if _, err := dnsAddress(server); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// dnsAddress returns address:port. A name would need another server to look it up.
func dnsAddress(server string) (string, error) {
	if address, err := netip.ParseAddrPort(server); err == nil {
		return address.String(), nil
	}
	address, err := netip.ParseAddr(strings.Trim(server, "[]"))
	if err != nil {
		return "", fmt.Errorf("DNS server %q is not an IP address or address:port", server)
	}
	return netip.AddrPortFrom(address, 53).String(), nil
}

// nameServers are a domain's own DNS servers; one that does not answer is left for the next. nil: the system's.
type nameServers struct {
	addresses []string
	current   atomic.Uint32
}

func newNameServers(d *Discovery) *nameServers {
	if d == nil || len(d.DNSServers) == 0 {
		return nil
	}
	own := &nameServers{}
	for _, server := range d.DNSServers {
		address, _ := dnsAddress(server) // checked with the configuration
		own.addresses = append(own.addresses, address)
	}
	return own
}

// resolver asks the current server; nil stands for the system's, as it does in [net.Dialer].
func (n *nameServers) resolver() *net.Resolver {
	if n == nil {
		return nil
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		address := n.addresses[int(n.current.Load())%len(n.addresses)]
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
}

// target returns what to dial: the controller by its name or, while DNS does not answer, where it was last. It must prove who it is in any
// case.
func (c *controller) target(ctx context.Context) string {
	c.mu.Lock()
	last := c.lastSeen
	c.mu.Unlock()
	host, _, _ := net.SplitHostPort(c.address)
	if last == "" || net.ParseIP(host) != nil {
		return c.address
	}
	ctx, cancel := context.WithTimeout(ctx, addressTimeout)
	defer cancel()
	if _, err := cmp.Or(c.names.resolver(), net.DefaultResolver).LookupHost(ctx, host); err == nil {
		return c.address
	}
	return last
}

// count is how many servers can be asked in turn.
func (n *nameServers) count() int {
	if n == nil {
		return 1
	}
	return len(n.addresses)
}

func (n *nameServers) next() {
	if n != nil {
		n.current.Add(1)
	}
}

// role says by which record a controller was found, the preferred one first.
type role int

const (
	rolePDC role = iota
	roleSite
	roleDomain
)

// found is a controller from DNS.
type found struct {
	address  string
	role     role
	priority uint16
}

// record is a name to look up, and what is known of those it lists.
type record struct {
	name string
	role role
}

func (c DomainConfig) records() []record {
	records := []record{{"_ldap._tcp.pdc._msdcs." + c.Name + ".", rolePDC}}
	if site := c.Site; site != "" {
		records = append(records, record{"_ldap._tcp." + site + "._sites.dc._msdcs." + c.Name + ".", roleSite})
	}
	return append(records, record{"_ldap._tcp.dc._msdcs." + c.Name + ".", roleDomain})
}

// discover looks up the domain's controllers, from one DNS server after the other until one answers.
func (c DomainConfig) discover(ctx context.Context, servers *nameServers) ([]found, error) {
	var failures []error
	for range servers.count() {
		all, err := c.lookUp(ctx, cmp.Or(servers.resolver(), net.DefaultResolver))
		if err == nil {
			return all, nil
		}
		failures = append(failures, err)
		servers.next()
	}
	return nil, noControllers(c.Name, errors.Join(failures...))
}

// lookUp asks for all records at the same time. A missing one for PDC or site is no failure while the domain's own answers.
func (c DomainConfig) lookUp(ctx context.Context, resolver *net.Resolver) ([]found, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, discoveryTimeout, errTimeout("asking DNS", discoveryTimeout))
	defer cancel()
	records := c.records()
	lists := make([][]*net.SRV, len(records))
	failures := make([]error, len(records))
	var wg sync.WaitGroup
	for i, record := range records {
		wg.Go(func() { _, lists[i], failures[i] = resolver.LookupSRV(ctx, "", "", record.name) })
	}
	wg.Wait()
	all := c.merge(records, lists)
	if len(all) == 0 {
		return nil, errors.Join(errors.New("the records name no controller that can be used"), errors.Join(failures...))
	}
	return all, nil
}

// merge joins the lists in the order of their roles; each comes sorted by priority and shuffled by weight (RFC 2782). Who is in several
// keeps the first place.
func (c DomainConfig) merge(records []record, lists [][]*net.SRV) []found {
	var all []found
	for i, list := range lists {
		for _, srv := range list {
			address, ok := c.srvAddress(srv)
			known := slices.ContainsFunc(all, func(f found) bool { return f.address == address })
			if ok && !known && len(all) < maxDiscovered {
				all = append(all, found{address, records[i].role, srv.Priority})
			}
		}
	}
	return all
}

// srvAddress turns a record into host:port. Controllers register port 389, whatever they also listen on: it stands for the well-known port
// of the transport. A target of "." means that the service is not there.
func (c DomainConfig) srvAddress(srv *net.SRV) (address string, ok bool) {
	host := strings.ToLower(strings.TrimSuffix(srv.Target, "."))
	port := strconv.Itoa(int(srv.Port))
	if srv.Port == 389 {
		port = c.Transport.port()
	}
	if host == "" {
		return "", false
	}
	address, err := controllerAddress(net.JoinHostPort(host, port), c.Transport)
	return address, err == nil
}

func noControllers(domain string, cause error) error {
	return &writeback.Error{
		Reason: writeback.DirectoryUnavailable, Cause: cause,
		Hint: "DNS names no controller: check that this host, or discovery.dns_servers, resolves _ldap._tcp.dc._msdcs." + domain +
			", or list the controllers.",
	}
}

// settle keeps the order of those that were known before among equals: the shuffle by weight is for newcomers, and agents that
// changed their writer with every lookup would be blind to what they wrote themselves.
func settle(fresh []found, before []string) []found {
	rank := func(f found) int {
		if at := slices.Index(before, f.address); at >= 0 {
			return at
		}
		return len(before)
	}
	slices.SortStableFunc(fresh, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.role, b.role), cmp.Compare(a.priority, b.priority), cmp.Compare(rank(a), rank(b)))
	})
	return fresh
}
