package adtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
)

// logonTimeout bounds one attempt.
const logonTimeout = 5 * time.Second

// Logon binds as a person over LDAPS, to see what a password is worth. It returns "" when the controller lets the person in, and
// otherwise AD's sub-code in lower case: "52e" for a wrong password, "773" where the password is right but must be changed,
// "775" for a locked account, "533" for a disabled one. The error says why there was no such answer.
//
// addr is host:port, and the certificate must carry the host; user is a user principal name. It works against any controller.
func Logon(ctx context.Context, addr string, roots *x509.CertPool, user string, password secret.Value) (code string, err error) {
	ctx, cancel := context.WithTimeout(ctx, logonTimeout)
	defer cancel()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("adtest: controller %q: %w", addr, err)
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}}
	tcp, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return "", fmt.Errorf("adtest: connect: %w", err)
	}
	conn := ldap.NewConn(tcp, true)
	conn.Start()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()
	password.Use(func(b []byte) { err = conn.Bind(user, string(b)) })
	return logonCode(err)
}

// logonCode reads the sub-code from "80090308: LdapErr: DSID-0C09..., comment: AcceptSecurityContext error, data 52e, v1db1".
func logonCode(err error) (string, error) {
	if err == nil {
		return "", nil
	}
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		return "", fmt.Errorf("adtest: bind: %w", err)
	}
	found := regexp.MustCompile(`, data ([0-9a-fA-F]+)`).FindStringSubmatch(err.Error())
	if found == nil {
		return "", fmt.Errorf("adtest: bind was refused without a sub-code: %w", err)
	}
	return strings.ToLower(found[1]), nil
}
