package ldapwriter_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter"
)

func TestScratchKerberos(t *testing.T) {
	c := openSamba(t)
	kt, err := os.ReadFile(os.Getenv("KT"))
	if err != nil {
		t.Fatal(err)
	}
	d := c.directory(t, func(d *ldapwriter.DomainConfig) {
		d.BindMethod = ldapwriter.BindKerberos
		d.BindKeytab = func(context.Context) (secret.Value, error) { return secret.New(append([]byte(nil), kt...)), nil }
	})
	a := person(t, d, "bob")
	fmt.Println(a.GUID, d.Status())
}
