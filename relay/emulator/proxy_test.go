package emulator_test

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
)

// proxy is an HTTP proxy that asks for a password and tunnels (CONNECT) to one place, whatever name it is asked for:
// it plays the network on which that name leads there.
type proxy struct {
	*httptest.Server
	login, password string
	target          string // host:port
	asked           atomic.Pointer[string]
	refused, opened atomic.Int32
}

func newProxy(t testing.TB, login, password, target string) *proxy {
	t.Helper()
	p := &proxy{login: login, password: password, target: target}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// url is how a client names the proxy and authenticates to it.
func (p *proxy) url(t testing.TB, login, password string) *url.URL {
	t.Helper()
	u, err := url.Parse(p.URL)
	must(t, err)
	u.User = url.UserPassword(login, password)
	return u
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !p.admits(r.Header.Get("Proxy-Authorization")) {
		p.refused.Add(1)
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	p.asked.Store(&r.Host)
	p.tunnel(w, r)
}

func (p *proxy) admits(header string) bool {
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.login+":"+p.password))
	return subtle.ConstantTimeCompare([]byte(header), []byte(want)) == 1
}

func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	to, err := new(net.Dialer).DialContext(r.Context(), "tcp", p.target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer to.Close()
	w.WriteHeader(http.StatusOK)
	from, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	p.opened.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer cancel(); _, _ = io.Copy(to, buffered) }()
	go func() { defer cancel(); _, _ = io.Copy(from, to) }()
	<-ctx.Done()
}
