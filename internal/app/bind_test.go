package app_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/ldapwriter"
)

// keytab makes one with a single key, as ktutil writes it (file format of MIT Kerberos, version 2).
func keytab(name, realm string, kind uint16) string {
	text := func(s string) string { return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s }
	record := "\x00\x01" + text(realm) + text(name) + "\x00\x00\x00\x01" + "\x00\x00\x00\x00" + "\x01" +
		string(binary.BigEndian.AppendUint16(nil, kind)) + text(strings.Repeat("k", 32))
	return "\x05\x02" + string(binary.BigEndian.AppendUint32(nil, uint32(len(record)))) + record
}

func TestLoadJudgesKeytabs(t *testing.T) {
	const aes256, rc4 = 18, 23
	for name, row := range map[string]struct {
		keytab, conf, user string
		want               map[string]string // by field: part of the problem
	}{
		"right":           {keytab("svc-writeback", "CORP.EXAMPLE.COM", aes256), "", "svc-writeback@corp.example.com", nil},
		"RC4 only":        {keytab("svc-writeback", "CORP.EXAMPLE.COM", rc4), "", "svc-writeback@corp.example.com", map[string]string{"domains[0].bind.keytab_file": "no AES key"}},
		"another account": {keytab("other", "CORP.EXAMPLE.COM", aes256), "", "svc-writeback@corp.example.com", map[string]string{"domains[0].bind.keytab_file": "no AES key"}},
		"no keytab":       {"a password", "", "svc-writeback@corp.example.com", map[string]string{"domains[0].bind.keytab_file": "not a keytab"}},
		"another domain": {keytab("svc-writeback", "CORP.EXAMPLE.COM", aes256), "", "svc-writeback@other.example.com", map[string]string{
			"domains[0].bind.keytab_file": "name@corp.example.com",
		}},
		"a broken krb5.conf": {
			keytab("svc-writeback", "CORP.EXAMPLE.COM", aes256), "[realms]\n CORP.EXAMPLE.COM = {\n  kdc\n }\n", "svc-writeback@corp.example.com",
			map[string]string{"domains": "not a krb5.conf"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := install(t)
			in.write(t, "secrets/bind-password", row.keytab)
			in.write(t, "krb5.conf", row.conf)
			in.edit(t, "config.yaml", "      password_file: ", "      method: kerberos\n      krb5_conf_file: krb5.conf\n      keytab_file: ")
			in.edit(t, "config.yaml", "svc-writeback@corp.example.com", row.user)
			_, err := app.Load(in.site.ConfigPath())
			var faults *config.Faults
			if err != nil && !errors.As(err, &faults) {
				t.Fatal(err)
			}
			if (err == nil) != (row.want == nil) {
				t.Fatalf("%v, want %v", err, row.want)
			}
			if faults != nil {
				wantFaults(t, faults.List, row.want)
				if strings.Contains(err.Error(), "kkk") || strings.Contains(err.Error(), "a password") {
					t.Error("a fault shows what the keytab holds")
				}
			}
		})
	}
}

// Who looks at the status learns what to do about just this refusal.
func TestADomainsConditionCarriesTheRemedyOfItsRefusal(t *testing.T) {
	refused := ldapwriter.ControllerStatus{Address: "dc1:636", LastError: "49: data 52e", LastHint: "Replace the password."}
	away := ldapwriter.ControllerStatus{Address: "dc2:636", LastError: "connection refused"}
	for name, row := range map[string]struct {
		controllers []ldapwriter.ControllerStatus
		want        string
	}{
		"a hint":             {[]ldapwriter.ControllerStatus{away, refused}, "Replace the password."},
		"nothing particular": {[]ldapwriter.ControllerStatus{away}, "Check the network"},
	} {
		if _, remedy := app.StateOf("corp.example.com", row.controllers, config.HintsRequire, false); !strings.HasPrefix(remedy, row.want) {
			t.Errorf("%s: %q, want %q", name, remedy, row.want)
		}
	}
}
