package emulator_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"

	"github.com/password-writeback/writeback/relay/emulator"
)

func TestWhatIsNoWebSocketIsAnsweredInHTTP(t *testing.T) {
	s := newServer(t, standard())
	certificates := newCertificates(t, tlsHost)
	l := loopback(t)
	open(t, s.ServeHTTPS, l, certificates.ServerTLS())
	d := newDialer(t, certificates, reaching(l.Addr()))
	const path = "/$servicebus/websocket"
	upgrade := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {"amqp"},
	}
	with := func(name, value string) http.Header {
		h := upgrade.Clone()
		h.Set(name, value)
		return h
	}
	for name, tt := range map[string]struct {
		method, path string
		header       http.Header
		status       int
	}{
		"as it should be":  {"GET", path, upgrade, http.StatusSwitchingProtocols},
		"with a slash":     {"GET", path + "/", upgrade, http.StatusSwitchingProtocols},
		"another path":     {"GET", "/" + plainQueue, upgrade, http.StatusUnauthorized}, // the management interface asks for a token
		"a path below":     {"GET", path + "/x", upgrade, http.StatusUnauthorized},
		"no upgrade":       {"GET", path, nil, http.StatusUpgradeRequired},
		"another method":   {"POST", path, upgrade, http.StatusMethodNotAllowed},
		"another version":  {"GET", path, with("Sec-WebSocket-Version", "8"), http.StatusBadRequest},
		"another origin":   {"GET", path, with("Origin", "https://elsewhere.example"), http.StatusForbidden},
		"headers too long": {"GET", path, with("Padding", strings.Repeat("x", 64<<10)), http.StatusRequestHeaderFieldsTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(within(t), tt.method, "https://"+tlsHost+tt.path, nil)
			must(t, err)
			r.Header = tt.header
			resp, err := d.http.Do(r)
			must(t, err)
			defer resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %s, want %d", resp.Status, tt.status)
			}
		})
	}
}

// Port 443 of the service is for both: a queue is made, used over a WebSocket, and looked at.
func TestHTTPSServesManagementAndWebSockets(t *testing.T) {
	s := newServer(t, standard())
	certificates := newCertificates(t, tlsHost)
	l := loopback(t)
	open(t, s.ServeHTTPS, l, certificates.ServerTLS())
	d := newDialer(t, certificates, reaching(l.Addr()))
	a, err := admin.NewClientFromConnectionString(s.TLSConnectionString(tlsHost, "", "root"), adminOptions(d))
	must(t, err)
	_, err = a.CreateQueue(within(t), "made", nil)
	must(t, err)
	send(t, newClient(t, s, &azservicebus.ClientOptions{NewWebSocketConn: d.dial}), "made", "x")
	got, err := a.GetQueueRuntimeProperties(within(t), "made", nil)
	must(t, err)
	if got == nil || got.ActiveMessageCount != 1 {
		t.Errorf("%+v, want one message", got)
	}
}

// adminOptions make an administration client go where the dialer goes, and give up at the first refusal.
func adminOptions(d *webSocketDialer) *admin.ClientOptions {
	opts := &admin.ClientOptions{}
	opts.Transport = d.http
	opts.Retry.MaxRetries = -1
	return opts
}

func TestManagementWithBearerTokens(t *testing.T) {
	n := ecTenant(t)
	s := newServer(t, n.trusting(
		emulator.RoleAssignment{Principal: "owner", Rights: emulator.Manage},
		emulator.RoleAssignment{Principal: "owner of one", Rights: emulator.Manage, Queue: plainQueue},
		emulator.RoleAssignment{Principal: "agent", Rights: emulator.Send | emulator.Listen},
	))
	certificates := newCertificates(t, tlsHost)
	l := loopback(t)
	open(t, s.ServeHTTPS, l, certificates.ServerTLS())
	d := newDialer(t, certificates, reaching(l.Addr()))
	look := func(cred azcore.TokenCredential, queue string) error {
		c, err := admin.NewClient(tlsHost, cred, adminOptions(d))
		must(t, err)
		_, err = c.GetQueue(within(t), queue, nil)
		return err
	}
	for _, tt := range []struct {
		principal, queue string
		allowed          bool
	}{
		{"owner", plainQueue, true},
		{"owner", sessionQueue, true},
		{"owner of one", plainQueue, true},
		{"owner of one", sessionQueue, false},
		{"agent", plainQueue, false},
		{"nobody", plainQueue, false},
	} {
		t.Run(tt.principal+", "+tt.queue, func(t *testing.T) {
			err := look(n.credential(t, tt.principal), tt.queue)
			if tt.allowed {
				must(t, err)
				return
			}
			wantStatus(t, err, http.StatusUnauthorized, "claims required")
		})
	}
	t.Run("as other clients send it", func(t *testing.T) {
		r, err := http.NewRequestWithContext(within(t), http.MethodGet, "https://"+tlsHost+"/"+plainQueue, nil)
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+n.token(t, "owner", time.Hour, nil))
		resp, err := d.http.Do(r)
		must(t, err)
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %s", resp.Status)
		}
	})
	t.Run("another's key", func(t *testing.T) {
		wantStatus(t, look(ecTenant(t).credential(t, "owner"), plainQueue), http.StatusUnauthorized, "InvalidSignature")
	})
}

// Every layer has deadlines of its own; none of them may end a connection on which only heartbeats pass.
func TestIdleConnectionsStayUpBehindTheFrontDoors(t *testing.T) {
	for name, connect := range map[string]func(*testing.T, *emulator.Server, *emulator.Certificates, *pipes) *azservicebus.ClientOptions{
		"TLS": func(t *testing.T, s *emulator.Server, certificates *emulator.Certificates, l *pipes) *azservicebus.ClientOptions {
			open(t, s.ServeTLS, l, certificates.ServerTLS())
			return &azservicebus.ClientOptions{NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) {
				c, err := l.dial(ctx)
				return tls.Client(c, &tls.Config{RootCAs: certificates.RootCAs(), ServerName: tlsHost}), err
			}}
		},
		"WebSocket": func(t *testing.T, s *emulator.Server, certificates *emulator.Certificates, l *pipes) *azservicebus.ClientOptions {
			open(t, s.ServeHTTPS, l, certificates.ServerTLS())
			d := newDialer(t, certificates, func(transport *http.Transport) {
				transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }
			})
			return &azservicebus.ClientOptions{NewWebSocketConn: d.dial}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, standard())
				l := newPipes()
				c := newClient(t, s, connect(t, s, newCertificates(t, tlsHost), l))
				r := newReceiver(t, c, plainQueue, nil)
				received := make(chan string)
				go func() { received <- string(receiveUntil(t, r).Body) }()
				time.Sleep(8 * time.Hour)
				send(t, c, plainQueue, "morning")
				if got := <-received; got != "morning" {
					t.Errorf("received %q", got)
				}
				if got := l.dialled.Load(); got != 1 {
					t.Errorf("%d connections, want the first one still", got)
				}
				must(t, s.Close()) // cuts: two ends that say goodbye at once over a pipe, which holds nothing, wait for each other
			})
		})
	}
}
