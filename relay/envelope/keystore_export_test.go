package envelope

import "github.com/password-writeback/writeback/internal/secret"

func ParseLife(text []byte) (KeyLife, error)            { return parseLife(text) }
func Protect(key secret.Value) (secret.Value, error)    { return protect(key) }
func Unprotect(text secret.Value) (secret.Value, error) { return unprotect(text) }
