package kerberos_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

const realm = "CORP.EXAMPLE.COM"

// entry encodes a key as ktutil does; wide is the version number of 32 bits at the end, where there is one.
func entry(k kerberos.Key, wide ...uint32) []byte {
	text := func(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }
	parts := strings.Split(k.Principal, "/")
	record := binary.BigEndian.AppendUint16(nil, uint16(len(parts)))
	record = append(record, text(k.Realm)...)
	for _, part := range parts {
		record = append(record, text(part)...)
	}
	record = append(record, 0, 0, 0, 1, 0x69, 0, 0, 0, byte(k.Version))
	record = binary.BigEndian.AppendUint16(record, uint16(k.Type))
	record = append(record, text(k.Value)...)
	for _, version := range wide {
		record = binary.BigEndian.AppendUint32(record, version)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(record))), record...)
}

func keytab(entries ...[]byte) []byte { return append([]byte{5, 2}, slices.Concat(entries...)...) }

func TestParseKeytab(t *testing.T) {
	svc := kerberos.Key{Principal: "svc-writeback", Realm: realm, Version: 3, Type: 18, Value: strings.Repeat("k", 32)}
	http := kerberos.Key{Principal: "HTTP/www.example.com", Realm: realm, Version: 4, Type: 17, Value: strings.Repeat("l", 16)}
	newer := svc
	newer.Version = 259
	hole := []byte{0xff, 0xff, 0xff, 0xfc, 'k', 'e', 'y', '!'}
	for name, row := range map[string]struct {
		content []byte
		want    []kerberos.Key
	}{
		"two":              {keytab(entry(svc), entry(http)), []kerberos.Key{svc, http}},
		"a wide version":   {keytab(entry(svc, 259)), []kerberos.Key{newer}},
		"a version of 0":   {keytab(entry(svc, 0)), []kerberos.Key{svc}},
		"a deleted entry":  {keytab(entry(svc), hole, entry(http)), []kerberos.Key{svc, http}},
		"nothing":          {keytab(), nil},
		"zeros at the end": {append(keytab(entry(svc)), 0, 0, 0, 0, 0), []kerberos.Key{svc}},
	} {
		got, err := kerberos.ParseKeytab(row.content)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	whole := keytab(entry(svc), entry(http))
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("a password"), "version 1": {5, 1}, "cut": whole[:len(whole)-1], "cut in a length": whole[:4],
		"an entry too short": keytab([]byte{0, 0, 0, 2, 0, 1}), "a hole too long": keytab([]byte{0x80, 0, 0, 0}),
	} {
		if got, err := kerberos.ParseKeytab(content); !errors.Is(err, kerberos.ErrKeytab) {
			t.Errorf("%s: %d keys, %v", name, len(got), err)
		}
	}
}

func TestCheckKeytab(t *testing.T) {
	svc := kerberos.Key{Principal: "Svc-Writeback", Realm: realm, Version: 3, Type: 18, Value: strings.Repeat("k", 32)}
	with := func(change func(*kerberos.Key)) []byte {
		changed := svc
		change(&changed)
		return keytab(entry(changed))
	}
	for name, row := range map[string]struct {
		content []byte
		want    error
	}{
		"right, in other letter case": {keytab(entry(svc)), nil},
		"RC4 only":                    {with(func(k *kerberos.Key) { k.Type = 23 }), kerberos.ErrNoKey},
		"of another account":          {with(func(k *kerberos.Key) { k.Principal = "svc" }), kerberos.ErrNoKey},
		"of a service":                {with(func(k *kerberos.Key) { k.Principal = "svc-writeback/host" }), kerberos.ErrNoKey},
		"of another realm":            {with(func(k *kerberos.Key) { k.Realm = "EXAMPLE.COM" }), kerberos.ErrNoKey},
		"no keytab":                   {[]byte("a password"), kerberos.ErrKeytab},
	} {
		err := kerberos.CheckKeytab(secret.New(row.content), "svc-writeback", realm)
		if !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), "kkk") {
			t.Errorf("%s: the error shows a key", name)
		}
	}
}

func FuzzParseKeytab(f *testing.F) {
	f.Add(keytab(entry(kerberos.Key{Principal: "a/b", Realm: realm, Type: 18, Value: "k"}, 7)))
	f.Add(keytab([]byte{0x80, 0, 0, 0}))
	f.Add([]byte{5, 2, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := kerberos.ParseKeytab(content)
		if err != nil && (keys != nil || !errors.Is(err, kerberos.ErrKeytab)) {
			t.Errorf("%d keys, %v", len(keys), err)
		}
	})
}

func TestParseKDCs(t *testing.T) {
	const conf = `[libdefaults]
	default_realm = OTHER.COM
[realms]
	CORP.EXAMPLE.COM = {
		kdc = dc1.corp.example.com
		kdc = dc2.corp.example.com:8888
		admin_server = dc1.corp.example.com
	}
	OTHER.COM = {
		kdc = dc9.other.com
	}
`
	got, err := kerberos.ParseKDCs(conf, realm)
	if diff := cmp.Diff([]string{"dc1.corp.example.com:88", "dc2.corp.example.com:8888"}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := kerberos.ParseKDCs("", realm); len(got) != 0 || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	if _, err := kerberos.ParseKDCs("[realms]\n CORP.EXAMPLE.COM = {\n  kdc\n }\n", realm); err == nil {
		t.Error("a broken file is accepted")
	}
}
