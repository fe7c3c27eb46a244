package dpapi

import (
	"crypto/sha1" //nolint:gosec // the form of a service's SID, which protects nothing
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// serviceName is the name under which the agent is a Windows service; its account is NT SERVICE\writeback-agent.
const serviceName = "writeback-agent"

// privateSDDL is the access list of protected files and their directories, in SDDL (MS-DTYP 2.5.1): nothing is inherited from above (P); the
// system, the administrators, the agent's service and user, the SID of the account that makes it, have all rights; nobody else has any. A
// directory hands the list down to what is made in it (OICI).
func privateSDDL(user string, directory bool) string {
	flags := ""
	if directory {
		flags = "OICI"
	}
	sddl := "D:P"
	for _, who := range []string{"SY", "BA", serviceSID(serviceName), user} {
		if who != "" {
			sddl += fmt.Sprintf("(A;%s;FA;;;%s)", flags, who)
		}
	}
	return sddl
}

// serviceSID is the SID of a service's own account: S-1-5-80 and the SHA-1 of its name in upper case, in UTF-16 (MS-DTYP 2.4.2.4, NT SERVICE;
// the derivation is what "sc showsid" prints).
func serviceSID(name string) string {
	var text []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(name))) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	sum := sha1.Sum(text) //nolint:gosec // see above
	sid := "S-1-5-80"
	for i := 0; i < len(sum); i += 4 {
		sid += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(sum[i:]))
	}
	return sid
}
