package adtest_test

import (
	"context"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

func TestLogonTellsWhatAPasswordIsWorth(t *testing.T) {
	t.Parallel()
	server := adtest.Start(t, adtest.Options{Domain: adtest.Corp()})
	for login, want := range map[string]string{"alice": "", "disabled1": "533", "expired1": "701", "mustchange1": "773", "locked1": "775", "nobody": "52e"} {
		code, err := adtest.Logon(t.Context(), server.Addr(), server.CAPool(), login+"@corp.example.com", secret.NewString(adtest.CorpPassword))
		if err != nil || code != want {
			t.Errorf("%s: got %q, %v, want %q", login, code, err, want)
		}
	}
	code, err := adtest.Logon(t.Context(), server.Addr(), server.CAPool(), "alice@corp.example.com", secret.NewString("wrong"))
	if err != nil || code != "52e" {
		t.Errorf("a wrong password: got %q, %v, want 52e", code, err)
	}
}

// TestLogonWithoutAnAnswer: what is no answer of the right controller must not look like one, least of all like a success.
func TestLogonWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	server := adtest.Start(t, adtest.Options{Domain: adtest.Corp()})
	good := secret.NewString(adtest.CorpPassword)
	_, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, test := range map[string]struct {
		ctx      context.Context
		addr     string
		roots    *x509.CertPool
		password secret.Value
		want     string
	}{
		"unknown authority": {t.Context(), server.Addr(), x509.NewCertPool(), good, "unknown authority"},
		"another host":      {t.Context(), net.JoinHostPort("127.0.0.2", port), server.CAPool(), good, "connect"},
		"no port":           {t.Context(), "127.0.0.1", server.CAPool(), good, "missing port"},
		"empty password":    {t.Context(), server.Addr(), server.CAPool(), secret.Value{}, "empty password"},
		"given up":          {ended, server.Addr(), server.CAPool(), good, "cancel"},
	} {
		code, err := adtest.Logon(test.ctx, test.addr, test.roots, "alice@corp.example.com", test.password)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %q, %v, want an error with %q", name, code, err, test.want)
		}
	}
}

// TestLogonGivesUp: a controller that says nothing holds nobody longer than the context.
func TestLogonGivesUp(t *testing.T) {
	t.Parallel()
	server := adtest.Start(t, adtest.Options{Domain: adtest.Corp()})
	struck := make(chan string, 1)
	remove := server.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Hang, Struck: struck})
	defer remove()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		<-struck
		cancel()
	}()
	if code, err := adtest.Logon(ctx, server.Addr(), server.CAPool(), "alice@corp.example.com", secret.NewString(adtest.CorpPassword)); err == nil {
		t.Errorf("got %q of a controller that said nothing", code)
	}
}
