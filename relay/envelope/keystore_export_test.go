package envelope

import "github.com/password-writeback/writeback/internal/secret"

// ServiceSID and PrivateSDDL are only used on Windows, and tested everywhere.
func ServiceSID(name string) string                     { return serviceSID(name) }
func PrivateSDDL(user string, directory bool) string    { return privateSDDL(user, directory) }
func ParseLife(text []byte) (KeyLife, error)            { return parseLife(text) }
func Protect(key secret.Value) (secret.Value, error)    { return protect(key) }
func Unprotect(text secret.Value) (secret.Value, error) { return unprotect(text) }
