package dpapi

import "github.com/password-writeback/writeback/internal/secret"

// What is used on Windows only is tested everywhere.

func ServiceSID(name string) string                     { return serviceSID(name) }
func PrivateSDDL(user string, directory bool) string    { return privateSDDL(user, directory) }
func Frame(encrypted []byte) secret.Value               { return frame(encrypted) }
func Unframe(stored secret.Value) (_ []byte, err error) { return unframe(stored) }
