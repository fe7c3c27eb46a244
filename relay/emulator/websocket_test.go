package emulator_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logrustest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// webSocketDialer is what a program gives the SDK to come by WebSocket.
type webSocketDialer struct {
	http        *http.Client
	subprotocol string
	dials       atomic.Int32
}

// newDialer trusts the certificates and reaches every host at l, or through a proxy if transport has one.
func newDialer(t testing.TB, certificates *emulator.Certificates, change func(*http.Transport)) *webSocketDialer {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: certificates.RootCAs()}}
	change(transport)
	t.Cleanup(transport.CloseIdleConnections)
	return &webSocketDialer{http: &http.Client{Transport: transport}, subprotocol: "amqp"}
}

// reaching makes every host name lead to an address.
func reaching(addr net.Addr) func(*http.Transport) {
	return func(transport *http.Transport) {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
		}
	}
}

func (d *webSocketDialer) dial(ctx context.Context, args azservicebus.NewWebSocketConnArgs) (net.Conn, error) {
	d.dials.Add(1)
	ws, err := d.open(ctx, args.Host, d.subprotocol)
	if err != nil {
		return nil, err
	}
	// Not ctx: it belongs to the operation that needed the connection first and ends with it.
	return websocket.NetConn(context.Background(), ws, websocket.MessageBinary), nil
}

func (d *webSocketDialer) open(ctx context.Context, url string, subprotocols ...string) (*websocket.Conn, error) {
	//nolint:bodyclose // the library says that there is never anything to close
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: d.http, Subprotocols: subprotocols})
	return ws, err
}

func TestWebSocket(t *testing.T) {
	for _, subprotocol := range []string{"amqp", "AMQPWSB10"} {
		t.Run(subprotocol, func(t *testing.T) {
			s := newServer(t, standard())
			certificates := newCertificates(t, tlsHost)
			l := loopback(t)
			open(t, s.ServeHTTPS, l, certificates.ServerTLS())
			d := newDialer(t, certificates, reaching(l.Addr()))
			d.subprotocol = subprotocol
			c := newClient(t, s, &azservicebus.ClientOptions{NewWebSocketConn: d.dial})
			thereAndBack(t, c, "over a WebSocket")
			thereAndBack(t, c, strings.Repeat("many frames ", 15000))
			if got := counts(t, s, plainQueue); got.Completed != 2 || d.dials.Load() != 1 {
				t.Errorf("%+v over %d connections, want 2 completed over one", got, d.dials.Load())
			}
			must(t, c.Close(within(t)))
		})
	}
}

func TestWebSocketThroughAProxyWithAPassword(t *testing.T) {
	s := newServer(t, standard())
	certificates := newCertificates(t, tlsHost)
	l := loopback(t)
	open(t, s.ServeHTTPS, l, certificates.ServerTLS())
	p := newProxy(t, "agent", "proxy-password", l.Addr().String())
	client := func(password string) *azservicebus.Client {
		d := newDialer(t, certificates, func(transport *http.Transport) {
			transport.Proxy = http.ProxyURL(p.url(t, "agent", password))
		})
		return newClient(t, s, &azservicebus.ClientOptions{NewWebSocketConn: d.dial})
	}

	thereAndBack(t, client("proxy-password"), "through the proxy")
	if asked := p.asked.Load(); asked == nil || *asked != tlsHost+":443" {
		t.Errorf("the proxy was asked for %v, want the namespace at port 443", asked)
	}
	if p.opened.Load() != 1 || p.refused.Load() != 0 {
		t.Errorf("%d tunnels, %d refusals; want one tunnel", p.opened.Load(), p.refused.Load())
	}

	err := newSender(t, client("wrong"), plainQueue).SendMessage(within(t), &azservicebus.Message{}, nil)
	if err == nil || !strings.Contains(err.Error(), http.StatusText(http.StatusProxyAuthRequired)) {
		t.Errorf("with a wrong password: %v, want the proxy's refusal", err)
	}
	if p.opened.Load() != 1 || p.refused.Load() == 0 {
		t.Errorf("with a wrong password: %d tunnels in all, %d refusals", p.opened.Load(), p.refused.Load())
	}
}

func TestWebSocketIsReplacedWhenItIsCut(t *testing.T) {
	s := newServer(t, standard())
	certificates := newCertificates(t, tlsHost)
	l := loopback(t)
	open(t, s.ServeHTTPS, l, certificates.ServerTLS())
	d := newDialer(t, certificates, reaching(l.Addr()))
	c, err := azservicebus.NewClientFromConnectionString(s.TLSConnectionString(tlsHost, "", "root"), &azservicebus.ClientOptions{
		NewWebSocketConn: d.dial,
		RetryOptions:     azservicebus.RetryOptions{MaxRetries: 3, RetryDelay: 10 * time.Millisecond, MaxRetryDelay: 10 * time.Millisecond},
	})
	must(t, err)
	defer c.Close(context.Background())
	snd := newSender(t, c, plainQueue)
	must(t, snd.SendMessage(within(t), &azservicebus.Message{}, nil))
	s.DropConnections()
	must(t, snd.SendMessage(within(t), &azservicebus.Message{}, nil))
	if d.dials.Load() != 2 {
		t.Errorf("%d connections, want 2", d.dials.Load())
	}
}

// pipedWebSocket is a client's WebSocket to a new server over a pipe, inside a bubble, so that all times are exact and
// a goroutine left behind fails the test.
type pipedWebSocket struct {
	*websocket.Conn
	server *emulator.Server
	pipe   net.Conn // the client's end
	shut   func()   // the front door
}

func newPipedWebSocket(t *testing.T, cfg emulator.Config, subprotocols ...string) *pipedWebSocket {
	t.Helper()
	ws := &pipedWebSocket{server: newServer(t, cfg)}
	certificates := newCertificates(t, tlsHost) // valid by the bubble's clock
	l := newPipes()
	ws.shut = open(t, ws.server.ServeHTTPS, l, certificates.ServerTLS())
	d := newDialer(t, certificates, func(transport *http.Transport) {
		transport.DialContext = func(ctx context.Context, _, _ string) (c net.Conn, err error) {
			ws.pipe, err = l.dial(ctx)
			return ws.pipe, err
		}
	})
	var err error
	ws.Conn, err = d.open(within(t), "wss://"+tlsHost+"/$servicebus/websocket", subprotocols...)
	must(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return ws
}

// amqp opens AMQP on the WebSocket.
func (ws *pipedWebSocket) amqp(t *testing.T) *peer {
	t.Helper()
	conn := websocket.NetConn(context.Background(), ws.Conn, websocket.MessageBinary)
	p := &peer{t: t, conn: conn, in: bufio.NewReader(conn)}
	p.open(&amqp.Open{ContainerID: "peer", MaxFrameSize: 65536, ChannelMax: 10})
	return p
}

func TestWebSocketsThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		subprotocols []string
		kind         websocket.MessageType
		message      []byte
		status       websocket.StatusCode
	}{
		"no subprotocol":      {nil, 0, nil, websocket.StatusPolicyViolation},
		"another subprotocol": {[]string{"mqtt"}, 0, nil, websocket.StatusPolicyViolation},
		"text":                {[]string{"amqp"}, websocket.MessageText, []byte(amqp.HeaderSASL), websocket.StatusUnsupportedData},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := newPipedWebSocket(t, standard(), tt.subprotocols...)
				if tt.message != nil {
					must(t, ws.Write(within(t), tt.kind, tt.message))
				}
				_, _, err := ws.Read(within(t))
				if got := websocket.CloseStatus(err); got != tt.status {
					t.Errorf("%v, want status %v", err, tt.status)
				}
			})
		})
	}
}

// Where the messages of a WebSocket begin and end means nothing: AMQP is a stream.
func TestWebSocketMessagesAreAStream(t *testing.T) {
	whole := []byte(amqp.HeaderSASL)
	whole, err := amqp.AppendFrame(whole, amqp.FrameSASL, 0, &amqp.Init{Mechanism: "ANONYMOUS"}, nil)
	must(t, err)
	whole = append(whole, amqp.HeaderAMQP...)
	whole, err = amqp.AppendFrame(whole, amqp.FrameAMQP, 0, &amqp.Open{ContainerID: "c", MaxFrameSize: 512}, nil)
	must(t, err)
	for name, size := range map[string]int{"one message": len(whole), "a byte each": 1, "seven bytes each": 7} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := newPipedWebSocket(t, standard(), "amqp")
				conn := websocket.NetConn(within(t), ws.Conn, websocket.MessageBinary)
				go func() {
					for rest := whole; len(rest) > 0; rest = rest[min(size, len(rest)):] {
						_ = ws.Write(within(t), websocket.MessageBinary, nil) // empty ones are passed over
						_ = ws.Write(within(t), websocket.MessageBinary, rest[:min(size, len(rest))])
					}
				}()
				var headers []amqp.Header
				for range 2 {
					h, err := amqp.ReadHeader(conn)
					must(t, err)
					headers = append(headers, h)
					frames := map[amqp.Header]int{amqp.HeaderSASL: 2, amqp.HeaderAMQP: 1}[h]
					for range frames {
						_, err := amqp.ReadFrame(conn, 65536)
						must(t, err)
					}
				}
				if diff := cmp.Diff([]amqp.Header{amqp.HeaderSASL, amqp.HeaderAMQP}, headers); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestWebSocketIsClosedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := newPipedWebSocket(t, standard(), "amqp")
		p := ws.amqp(t)
		p.say(&amqp.Close{})
		if got := expect[*amqp.Close](p); got.Error != nil {
			t.Errorf("closed with %v", got.Error)
		}
		if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 { // a broken connection would be an error here
			t.Errorf("read %q, %v; want an orderly end", rest, err)
		}
	})
}

// attachTo signs in and asks for messages of a queue, without waiting for the answer.
func (p *peer) attachTo(queue string) {
	p.t.Helper()
	p.begin(0, 5000)
	p.putToken(sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour)))
	p.say(&amqp.Attach{Name: "r", Role: amqp.RoleReceiver, Source: amqp.NewSource(queue), Target: amqp.NewTarget("here")})
}

// A cut is no goodbye: the client meets a broken connection, as with a failing network.
func TestCuttingAWebSocketSaysNoGoodbye(t *testing.T) {
	for name, act := range map[string]func(*emulator.Server, *peer){
		"DropConnections": func(s *emulator.Server, _ *peer) { s.DropConnections() },
		"Close":           func(s *emulator.Server, _ *peer) { s.Close() },
		"fault": func(s *emulator.Server, p *peer) {
			s.SetFaults(func(context.Context, emulator.Event) emulator.Fault { return emulator.Fault{Drop: emulator.DropBefore} })
			p.attachTo(plainQueue)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ws := newPipedWebSocket(t, standard(), "amqp")
				p := ws.amqp(t)
				started := time.Now()
				act(ws.server, p)
				_, _, err := ws.Read(within(t))
				if err == nil || websocket.CloseStatus(err) != -1 {
					t.Errorf("read %v, want a broken connection", err)
				}
				if took := time.Since(started); took != 0 {
					t.Errorf("took %v: somebody waited for a goodbye", took)
				}
			})
		})
	}
}

// discard reads until the end, whatever it is like.
func discard(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

// A client that does not take part in the goodbye does not hold the server up, neither once AMQP is open nor before.
func TestWebSocketPeerThatDoesNotSayGoodbye(t *testing.T) {
	for name, act := range map[string]func(*testing.T, *pipedWebSocket){
		"after close": func(t *testing.T, ws *pipedWebSocket) { ws.amqp(t).say(&amqp.Close{}) },
		"in the handshake": func(t *testing.T, ws *pipedWebSocket) {
			must(t, ws.Write(within(t), websocket.MessageBinary, []byte("nonsense")))
		},
	} {
		for what, listen := range map[string]func(*pipedWebSocket){
			"deaf":   func(*pipedWebSocket) {},
			"silent": func(ws *pipedWebSocket) { go discard(ws.pipe) }, // below TLS: nothing is understood or answered
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ws := newPipedWebSocket(t, standard(), "amqp")
					act(t, ws)
					listen(ws)
					synctest.Wait()
					started := time.Now()
					must(t, ws.server.Close())
					if took := time.Since(started); took != 0 {
						t.Errorf("closing the server took %v", took)
					}
				})
			})
		}
	}
}

// Who shuts the front door and goes on may rely on nothing being done for its clients any more.
func TestShuttingTheFrontDoorWaitsForWebSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := standard()
		cfg.Fault = func(ctx context.Context, e emulator.Event) emulator.Fault {
			if e.Op == emulator.OpAttach {
				<-ctx.Done()
				time.Sleep(time.Second)
			}
			return emulator.Fault{}
		}
		ws := newPipedWebSocket(t, cfg, "amqp")
		ws.amqp(t).attachTo(plainQueue)
		synctest.Wait()
		started := time.Now()
		ws.shut()
		if took := time.Since(started); took != time.Second {
			t.Errorf("shut after %v, want the second that the connection needs", took)
		}
	})
}

// A client may close the WebSocket without a word of AMQP; only other ends are worth a line in the log.
func TestClosedWebSocketIsNoFailure(t *testing.T) {
	for status, want := range map[websocket.StatusCode]int{
		websocket.StatusNormalClosure: 0, websocket.StatusGoingAway: 0, websocket.StatusProtocolError: 1,
	} {
		t.Run(status.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, lines := logrustest.NewNullLogger()
				logger.SetLevel(logrus.DebugLevel)
				cfg := standard()
				cfg.Logger = logger
				ws := newPipedWebSocket(t, cfg, "amqp")
				ws.amqp(t)
				_ = ws.Close(status, "")
				synctest.Wait()
				if got := len(lines.AllEntries()); got != want {
					t.Errorf("%d lines in the log, want %d", got, want)
				}
			})
		})
	}
}

func TestWebSocketMessageWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ws := newPipedWebSocket(t, standard(), "amqp")
		p := ws.amqp(t)
		go discard(p.conn)
		heartbeats := bytes.Repeat([]byte{0, 0, 0, 8, 2, 0, 0, 0}, 1<<13)
		w, err := ws.Writer(within(t), websocket.MessageBinary)
		must(t, err)
		written := 0
		for err == nil && written < 64<<20 {
			_, err = w.Write(heartbeats)
			written += len(heartbeats)
		}
		if err == nil || written > 8<<20 {
			t.Errorf("one message of %d MiB was taken (%v)", written>>20, err)
		}
	})
}
