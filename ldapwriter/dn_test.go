package ldapwriter_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/ldapwriter"
)

func TestNormalizeDN(t *testing.T) {
	for in, want := range map[string]string{
		"OU=Staff,DC=corp,DC=example,DC=com":          "ou=staff,dc=corp,dc=example,dc=com",
		"ou = Staff , dc=CORP,dc=example, dc=com ":    "ou=staff,dc=corp,dc=example,dc=com",
		`CN=Doe\, John,OU=Staff`:                      `cn=doe\, john,ou=staff`,
		`CN=Doe\2C John,OU=Staff`:                     `cn=doe\, john,ou=staff`,
		`CN=Semi\3Bcolon\<less\>\3Deq,DC=x`:           `cn=semi\;colon\<less\>\=eq,dc=x`,
		`CN=Semi\;colon\<less\>=eq,DC=x`:              `cn=semi\;colon\<less\>\=eq,dc=x`,
		`CN=\ lead and trail\ ,DC=x`:                  `cn=\ lead and trail\ ,dc=x`,
		`CN=\20lead and trail\20,DC=x`:                `cn=\ lead and trail\ ,dc=x`,
		`CN=\#hash,DC=x`:                              `cn=\#hash,dc=x`,
		`CN=in#side,DC=x`:                             `cn=in#side,dc=x`,
		`CN=Quote\"Mark\",DC=x`:                       `cn=quote\"mark\",dc=x`,
		`CN=Back\\slash,DC=x`:                         `cn=back\\slash,dc=x`,
		`CN=Name\0ADEL:1234,DC=x`:                     `cn=name\0adel:1234,dc=x`,
		`CN=J\C3\BCrgen,DC=x`:                         `cn=jürgen,dc=x`,
		"CN=JÜRGEN GROSS,DC=x":                        "cn=jürgen gross,dc=x",
		"CN=ΣΑΣ,DC=x":                                 "cn=σασ,dc=x",
		"CN=σας,DC=x":                                 "cn=σασ,dc=x",
		"2.5.4.11=Staff,0.9.2342.19200300.100.1.25=x": "ou=staff,dc=x",
		"UID=1+CN=b,DC=x":                             "cn=b+uid=1,dc=x",
		"CN=b+UID=1,DC=x":                             "cn=b+uid=1,dc=x",
		`CN=Plus\+Sign`:                               `cn=plus\+sign`,
	} {
		got, err := ldapwriter.NormalizeDN(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if diff := cmp.Diff(foldSigma(want), foldSigma(got)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

// foldSigma makes the table above independent of which member of a case-folding class is chosen.
func foldSigma(s string) string {
	return strings.NewReplacer("Σ", "σ", "ς", "σ", "Α", "α", "Ü", "ü").Replace(s)
}

func TestDifferentNamesStayDifferent(t *testing.T) {
	for _, pair := range [][2]string{
		{`OU=Staff\,DC=corp,DC=com`, "OU=Staff,DC=corp,DC=com"},
		{`CN=a\2Cou=staff,DC=x`, "CN=a,OU=staff,DC=x"},
		{`CN=a\+cn=b,DC=x`, "CN=a+CN=b,DC=x"},
		{`CN=\ a,DC=x`, "CN=a,DC=x"},
		{"CN=é,DC=x", "CN=e\u0301,DC=x"},
		{"CN=ı,DC=x", "CN=i,DC=x"},
	} {
		first, err := ldapwriter.NormalizeDN(pair[0])
		second, err2 := ldapwriter.NormalizeDN(pair[1])
		if err != nil || err2 != nil || first == second {
			t.Errorf("%q and %q: %q, %q (%v, %v)", pair[0], pair[1], first, second, err, err2)
		}
	}
}

func TestNotADistinguishedName(t *testing.T) {
	for _, in := range []string{
		"", " ", "Staff", "=Staff", "OU=", "OU=Staff,", ",OU=Staff", "OU=Staff,,DC=x", "OU=Staff;DC=x", `OU="Staff",DC=x`, `OU=Staff\`,
		`OU=Staff\zz`, `OU=St\aff`, "OU=#0401", "OU=a<b", "O U=x", "1.=x", "1..2=x", "é=x", `OU=\ff`, "OU=\xff", "OU=a\x00b", "OU=Staff+",
		"OU=" + strings.Repeat("a", 20000),
	} {
		if got, err := ldapwriter.NormalizeDN(in); err == nil {
			t.Errorf("%q is accepted as %q", in, got)
		}
	}
}

func TestAncestors(t *testing.T) {
	got, err := ldapwriter.Ancestors(`CN=Doe\, John,OU=Sales+L=Bonn,OU=Staff,DC=corp,DC=com`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"l=bonn+ou=sales,ou=staff,dc=corp,dc=com", "ou=staff,dc=corp,dc=com", "dc=corp,dc=com", "dc=com"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ancestors (-want +got):\n%s", diff)
	}
	if got, err := ldapwriter.Ancestors("not a name"); err == nil {
		t.Errorf("ancestors of no name: %v", got)
	}
}

func FuzzNormalizeDN(f *testing.F) {
	for _, seed := range []string{
		"OU=Staff,DC=corp,DC=example,DC=com", `CN=Semi\3Bcolon\<less\>\3Deq,OU=Staff`, `CN=\ lead\ ,DC=x`, `CN=a+UID=b,DC=x`,
		`CN=Name\0ADEL:1,DC=x`, "CN=İıſK,DC=x", `CN=\C3\BC`, "2.5.4.3=x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		normal, err := ldapwriter.NormalizeDN(in)
		above, err2 := ldapwriter.Ancestors(in)
		if (err == nil) != (err2 == nil) {
			t.Fatalf("NormalizeDN %v, Ancestors %v", err, err2)
		}
		if err != nil {
			return
		}
		again, err := ldapwriter.NormalizeDN(normal)
		if err != nil || again != normal || !utf8.ValidString(normal) {
			t.Fatalf("%q -> %q -> %q (%v)", in, normal, again, err)
		}
		for _, name := range above {
			if !strings.HasSuffix(normal, ","+name) {
				t.Fatalf("%q is not above %q", name, normal)
			}
		}
	})
}
