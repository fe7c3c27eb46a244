//go:build !windows

package kerberos

import "errors"

// ServiceIdentity reports whether this system can log on as the account the process runs as.
const ServiceIdentity = false

// InitiateAsService would begin a bind as the account the process runs as; only Windows can.
func InitiateAsService(string, Binding) (Context, error) {
	return nil, errors.New("logging on as the service itself works on Windows only")
}
