package app

import (
	"context"
	"crypto/x509"
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// directoryPort lets the pipeline use an ldapwriter.Directory.
type directoryPort struct{ *ldapwriter.Directory }

// Probe implements agent.Directory.
func (d directoryPort) Probe(ctx context.Context, account writeback.Account, password secret.Value) (agent.ProbeResult, error) {
	result, err := d.Directory.Probe(ctx, account, password)
	switch result {
	case ldapwriter.ProbeOurs:
		return agent.ProbeOurs, err
	case ldapwriter.ProbeNotOurs:
		return agent.ProbeNotOurs, err
	}
	return agent.ProbeInconclusive, err
}

func newDirectory(cfg *config.Config, known *secrets, log logrus.FieldLogger) (*ldapwriter.Directory, error) {
	directory := ldapwriter.Config{SearchBudget: cfg.Policy.ControllerSearch, Log: log}
	for i, domain := range cfg.Domains {
		if _, err := caRoots(domain); err != nil {
			return nil, unreadable(fmt.Sprintf("domains[%d].ca_file", i), err)
		}
		made := ldapwriter.DomainConfig{
			Name: domain.Name, NetBIOSName: domain.NetBIOSName, UPNSuffixes: domain.UPNSuffixes,
			Controllers: domain.Controllers, Discovery: discovery(domain.Discovery), Site: domain.Discovery.Site,
			Transport: ldapwriter.Transport(domain.Transport), Pins: domain.Pins,
			// Read for each connection, so that an authority can be exchanged without a restart.
			ReadRootCAs: func() (*x509.CertPool, error) { return caRoots(domain) },
			SearchBase:  domain.SearchBase,
			PolicyHints: ldapwriter.HintsMode(cfg.Policy.Hints), Connections: domain.Connections, WriteTimeout: cfg.Policy.WriteTimeout,
		}
		if err := bindAs(&made, domain.Bind, known); err != nil {
			return nil, unreadable(fmt.Sprintf("domains[%d].bind.krb5_conf_file", i), err)
		}
		directory.Domains = append(directory.Domains, made)
	}
	return ldapwriter.New(directory)
}

// discovery returns nil where the controllers are listed.
func discovery(d config.Discovery) *ldapwriter.Discovery {
	if !d.Enabled {
		return nil
	}
	return &ldapwriter.Discovery{DNSServers: d.DNSServers}
}

// caRoots returns nil, the system's roots, where the domain names no file.
func caRoots(domain config.Domain) (*x509.CertPool, error) {
	if domain.CAFile == "" {
		return nil, nil
	}
	return config.ReadCAFile(domain.CAFile)
}
