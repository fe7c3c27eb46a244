package config

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Default returns a configuration with every default that does not depend on other fields. What it has no domain, issuer or
// connection string for, it leaves empty: it would not pass [Load].
func Default() *Config {
	return &Config{
		StateDir: defaultStateDir(),
		Relay:    Relay{RequestsQueue: "writeback-requests", Concurrency: 16, Drain: 20 * time.Second},
		Policy: Policy{
			Hints:            HintsRequire,
			MaxRequestLife:   120 * time.Second,
			ClockSkew:        30 * time.Second,
			WriteTimeout:     5 * time.Second,
			ControllerSearch: 10 * time.Second,
			UserBudget:       UserBudget{Failures: 5, Per: time.Hour},
		},
		Audit:  Audit{MaxFileSize: 64 * MiB},
		Status: Status{Socket: defaultSocket(), Group: defaultGroup},
		Log:    Log{Level: "info", Format: "text"},
	}
}

// defaulter is implemented by list elements that have defaults of their own: they are set before the file's values.
type defaulter interface{ setDefaults() }

func (d *Domain) setDefaults() {
	d.Connections = 4
	d.Transport = TransportLDAPS
	d.EnabledFor = EnabledForAll
	d.Bind.Method = BindSimple
}

func (i *Issuer) setDefaults() {
	i.Operations = []writeback.Operation{writeback.OpReset, writeback.OpUnlock, writeback.OpCheck, writeback.OpPing}
	i.Rate = Rate{Requests: 20_000, Per: time.Hour}
	i.Actors = []writeback.ActorKind{writeback.ActorSelf}
	i.Identifiers = []writeback.IdentifierKind{
		writeback.BySID, writeback.ByGUID, writeback.ByUPN, writeback.BySAM, writeback.ByImmutableID,
	}
}

// aliasOf names an agent after its host without telling the host's name: results are signed, not sealed, and pass the queue.
func aliasOf(host string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(host)))
	return "agent-" + hex.EncodeToString(sum[:4])
}

// derive fills in the defaults that depend on other fields, before paths are made absolute.
func (c *Config) derive(hostname func() (string, error)) {
	if c.Agent == "" {
		if host, err := hostname(); err == nil && host != "" {
			c.Agent = aliasOf(host)
		}
	}
	if c.KeysDir == "" {
		c.KeysDir = filepath.Join(c.StateDir, "keys")
	}
	if c.Audit.Dir == "" {
		c.Audit.Dir = filepath.Join(c.StateDir, "audit")
	}
	for i := range c.Domains {
		c.Domains[i].derive()
	}
	for i := range c.Issuers {
		if issuer := &c.Issuers[i]; issuer.ResultsQueue == "" && issuer.ID != "" {
			issuer.ResultsQueue = "writeback-results-" + issuer.ID
		}
	}
}

func (d *Domain) derive() {
	d.Name = strings.ToLower(d.Name)
	if d.NetBIOSName == "" {
		label, _, _ := strings.Cut(d.Name, ".")
		d.NetBIOSName = strings.ToUpper(label[:min(len(label), maxNetBIOS)])
	}
	if d.SearchBase == "" && d.Name != "" {
		d.SearchBase = domainDN(d.Name)
	}
	for i, controller := range d.Controllers {
		d.Controllers[i] = withPort(controller, d.Transport.port())
	}
}
