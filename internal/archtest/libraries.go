package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// A library is a module from outside, with the packages that may import it.
type library struct {
	prefix string   // import path of the module
	owners []string // patterns as in layers; nil: nobody
	// andTests are packages whose tests may import it as well.
	andTests []string
}

// libraries is the list of every module the source imports. The longest prefix decides.
func libraries() []library {
	anywhere := []string{"..."}
	azure := []string{"relay/emulator/...", "relay/requester", "internal/e2e"} // whose tests play other people's clients
	return []library{
		{prefix: "github.com/go-ldap/ldap/v3", owners: []string{"ldapwriter/..."}},
		{prefix: "github.com/go-asn1-ber/asn1-ber", owners: []string{"ldapwriter/..."}},
		// Its last release is from 2023; of its forks none could be had that is better kept. Only messages, types and cryptography
		// are used, so that another one can take its place in one small package.
		{prefix: "github.com/jcmturner/gokrb5/v8", owners: []string{"ldapwriter/kerberos"}, andTests: []string{"ldapwriter", "internal/e2e"}},
		{prefix: "github.com/jcmturner/gofork", andTests: []string{"ldapwriter/kerberos"}},
		// SSPI: logging on as the Windows service itself. Its package kerberos is not used: it panics when it is loaded.
		{prefix: "github.com/alexbrainman/sspi", owners: []string{"ldapwriter/kerberos"}},
		{prefix: "github.com/Azure/azure-sdk-for-go", owners: []string{"relay/servicebus"}, andTests: azure},
		{prefix: "github.com/Azure/go-amqp", owners: []string{"relay/servicebus"}, andTests: azure},
		{prefix: "github.com/coder/websocket", owners: []string{"relay/servicebus", "relay/emulator/..."}},
		{prefix: "github.com/go-jose/go-jose/v4", owners: []string{"relay/envelope"}},
		{prefix: "go.etcd.io/bbolt", owners: []string{"agent/ledger"}},
		{prefix: "gopkg.in/yaml.v3", owners: []string{"agent/config"}, andTests: []string{"internal/secret", "relay/envelope"}},
		{prefix: "github.com/invopop/jsonschema", owners: []string{"agent/config"}},
		{prefix: "github.com/kardianos/service", owners: []string{"installer/...", "cmd/writeback-agent/..."}},
		{prefix: "github.com/prometheus/client_golang", owners: []string{"agent/status"}},
		{prefix: "github.com/spf13/cobra", owners: []string{"cmd/..."}},
		{prefix: "golang.org/x/term", owners: []string{"cmd/..."}},
		// DPAPI and access lists in internal/dpapi, the lock of a file in agent/audit, the room on a disk in internal/app, and the
		// service itself.
		{prefix: "golang.org/x/sys/windows", owners: []string{"internal/dpapi", "agent/audit", "internal/app", "installer/...", "cmd/writeback-agent/..."}},

		// How logrus may be used is a rule of its own.
		{prefix: "github.com/sirupsen/logrus", owners: anywhere},
		{prefix: "github.com/cenkalti/backoff/v5", owners: anywhere},
		{prefix: "github.com/google/uuid", owners: anywhere},
		{prefix: "golang.org/x/sync", owners: anywhere},
		{prefix: "golang.org/x/sys", owners: anywhere},
		{prefix: "golang.org/x/text", owners: anywhere},
		{prefix: "golang.org/x/time", owners: anywhere},

		// For tests; ldapwriter/adtest holds the contract suite, which is test code that others import.
		{prefix: "github.com/google/go-cmp", owners: []string{"ldapwriter/adtest"}, andTests: anywhere},
		{prefix: "github.com/rogpeppe/go-internal", andTests: anywhere},
		{prefix: "golang.org/x/tools/txtar", andTests: anywhere},
		{prefix: "golang.org/x/net/dns/dnsmessage", andTests: []string{"ldapwriter", "internal/e2e"}}, // a DNS server that names controllers
		// Its diffs print the values compared, secrets among them.
		{prefix: "github.com/stretchr/testify"},
	}
}

// checkLibraries finds modules used outside the room that owns them, and modules nobody has decided on.
func checkLibraries(m *Module, report reporter) {
	for _, f := range m.Files {
		for _, imported := range m.imports(f) {
			first, _, _ := strings.Cut(imported.Path, "/")
			if imported.Local != "" || imported.Path == m.Path || !strings.Contains(first, ".") {
				continue // ours, or the standard library's
			}
			if complaint := judge(f, imported.Path); complaint != "" {
				report(imported.Pos, complaint)
			}
		}
	}
}

func judge(f *File, imported string) string {
	all := libraries()
	at := slices.IndexFunc(all, func(l library) bool { return covers(l.prefix+"/...", imported) })
	switch {
	case at < 0:
		return fmt.Sprintf("%s is not among the libraries; decide on it in internal/archtest/libraries.go", imported)
	case owns(all[at].owners, f.Dir) || f.Test && owns(all[at].andTests, f.Dir):
		return ""
	case len(all[at].owners) == 0 && len(all[at].andTests) == 0:
		return imported + " is not used here"
	case len(all[at].owners) == 0:
		return imported + " is for tests only"
	}
	return fmt.Sprintf("%s belongs to %s", imported, strings.Join(all[at].owners, ", "))
}

func owns(owners []string, dir string) bool {
	return slices.Contains(owners, "...") || anyCovers(owners, dir)
}
