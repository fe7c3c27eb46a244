package ldapwriter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxSubAuthorities is the limit of MS-DTYP 2.4.2.
const maxSubAuthorities = 15

// sidString turns a binary security identifier (MS-DTYP 2.4.2.2) into its text form.
func sidString(b []byte) (string, error) {
	if len(b) < 8 || b[0] != 1 || b[1] > maxSubAuthorities || len(b) != 8+4*int(b[1]) {
		return "", errors.New("not a binary security identifier")
	}
	var authority [8]byte
	copy(authority[2:], b[2:8])
	var text strings.Builder
	fmt.Fprintf(&text, "S-1-%d", binary.BigEndian.Uint64(authority[:]))
	for rest := b[8:]; len(rest) > 0; rest = rest[4:] {
		fmt.Fprintf(&text, "-%d", binary.LittleEndian.Uint32(rest))
	}
	return text.String(), nil
}

// accountSID checks that s is the text form of a domain account's SID, S-1-5-21-a-b-c-rid, written in the one canonical
// way, and returns it in upper case with the SID of its domain.
func accountSID(s string) (sid, domain string, err error) {
	sid = strings.ToUpper(s)
	numbers, isDomain := strings.CutPrefix(sid, "S-1-5-21-")
	parts := strings.Split(numbers, "-")
	if !isDomain || len(parts) != 4 {
		return "", "", errors.New("not the SID of a domain account")
	}
	for _, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || strconv.FormatUint(n, 10) != part {
			return "", "", errors.New("not a SID")
		}
	}
	return sid, sid[:strings.LastIndexByte(sid, '-')], nil
}
