package app

import (
	"context"
	"fmt"
	"sync"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/ldapwriter"
)

// bindAs lets a domain's connections log on as the configuration says.
func bindAs(domain *ldapwriter.DomainConfig, bind config.Bind, known *secrets) error {
	domain.BindMethod, domain.BindUser = ldapwriter.BindMethod(bind.Method), bind.User
	switch bind.Method {
	case config.BindSimple:
		domain.BindPassword = (&bindSecret{path: bind.PasswordFile, load: config.ReadSecret, known: known}).read
	case config.BindKerberos:
		domain.BindKeytab = (&bindSecret{path: bind.KeytabFile, load: config.ReadKeytab, known: known}).read
	}
	if bind.Krb5ConfFile == "" {
		return nil
	}
	var err error
	domain.Krb5Config, err = config.ReadKrb5Conf(bind.Krb5ConfFile)
	return err
}

// keytabs has the directory's room judge every keytab.
func (in *inspection) keytabs(cfg *config.Config) {
	for i, domain := range cfg.Domains {
		if domain.Bind.Method != config.BindKerberos {
			continue
		}
		content, err := config.ReadKeytab(domain.Bind.KeytabFile)
		if err != nil {
			continue // known already
		}
		named := ldapwriter.DomainConfig{Name: domain.Name, NetBIOSName: domain.NetBIOSName, BindUser: domain.Bind.User}
		in.add(fmt.Sprintf("domains[%d].bind.keytab_file", i), ldapwriter.CheckKeytab(named, content))
		content.Destroy()
	}
}

// bindSecret is what one domain's delegated account proves itself with, in a file.
type bindSecret struct {
	path  string
	load  func(path string) (secret.Value, error)
	known *secrets

	mu      sync.Mutex
	current secret.Value
}

// read reads the file anew for each connection, so that a rotated password or keytab needs no restart. All connections share the
// value, so it is not destroyed before the agent closes: one may still be binding with it.
func (b *bindSecret) read(context.Context) (secret.Value, error) {
	fresh, err := b.load(b.path)
	if err != nil {
		return secret.Value{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if fresh.Equal(b.current) {
		fresh.Destroy()
		return b.current, nil
	}
	b.known.own(fresh)
	b.current = fresh
	return fresh, nil
}
