package passwords

import "bytes"

// Normalize shows tests the characters that are compared.
func Normalize(text string) []rune { return bytes.Runes(normalize([]byte(text))) }

// Window is how much of a file is read at once.
const Window = window
