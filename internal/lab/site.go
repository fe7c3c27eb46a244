package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/envelope"
)

// Names that both sides have agreed on.
const (
	Issuer    = "portal"
	Group     = "corp"
	AgentName = "lab-agent"
)

// Domain is what an agent must know about the domain it serves.
type Domain struct {
	Name        string // DNS name
	NetBIOSName string
	Controller  string   // host:port of LDAPS; the certificate must carry the host
	Others      []string // further controllers, for when that one does not answer
	Authority   []byte   // PEM: the only roots that a controller's certificate may lead to
	BindUser    string
	Password    secret.Value // of BindUser
	Include     []string     // distinguished names: the scope
	Exclude     []string
	// Hints is policy.hints of the configuration; empty: require, the agent's default.
	Hints string
}

// Site is the folder of one agent, complete but for the agent's own keys.
type Site struct {
	// Folder holds everything; nobody but its owner may enter it.
	Folder string
	// PortalKey signs the portal's requests; the agent pins its public half.
	PortalKey envelope.PrivateKey
}

// The files of a site, relative to its folder.
const (
	configFile         = "config.yaml"
	relaySecretFile    = "secrets/relay-connection-string"
	bindSecretFile     = "secrets/bind-password"
	authorityFile      = "ca.pem"
	pinnedKeyFile      = "issuers/portal.jwk"
	portalKeyFile      = "portal/signing-key.jwk"
	portalRelayFile    = "portal/connection-string"
	agentKeysFile      = "portal/agents.jwks"
	agentLogFile       = "agent.log"
	profileFile        = "portal/profile.json"
	socketFile         = "agent.sock"
	agentKeysDirectory = "state/keys"
)

// NewSite fills folder, which must exist and be empty, with what an agent needs to serve domain, and makes the portal's key.
func NewSite(folder string, namespace *Namespace, domain Domain) (*Site, error) {
	key, err := envelope.GenerateSigningKey()
	if err != nil {
		return nil, fmt.Errorf("make the portal's key: %w", err)
	}
	pinned, err := envelope.EncodePublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode the portal's key: %w", err)
	}
	site := &Site{Folder: folder, PortalKey: key}
	text, err := site.config(domain)
	if err != nil {
		return nil, err
	}
	return site, errors.Join(
		site.write(configFile, []byte(text)),
		site.write(authorityFile, domain.Authority),
		site.write(pinnedKeyFile, pinned),
		site.writeSecret(relaySecretFile, namespace.AgentConnection()),
		site.writeSecret(bindSecretFile, domain.Password),
		site.writeSecret(portalRelayFile, namespace.PortalConnection()),
		site.savePortalKey(),
		site.writeProfile(),
		// The agent makes keys/ itself, but not the folder above it.
		os.MkdirAll(site.path("state"), 0o700),
	)
}

// ConfigPath is the agent's configuration file.
func (s *Site) ConfigPath() string { return s.path(configFile) }

// LogPath is where the agent's log is kept.
func (s *Site) LogPath() string { return s.path(agentLogFile) }

func (s *Site) path(name string) string { return filepath.Join(s.Folder, filepath.FromSlash(name)) }

// write makes a file that only its owner can read. Most of them hold no secret, but nobody else has business here.
func (s *Site) write(name string, content []byte) error {
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

func (s *Site) writeSecret(name string, value secret.Value) error {
	var err error
	value.Use(func(b []byte) { err = s.write(name, b) })
	return err
}

func (s *Site) savePortalKey() error {
	path := s.path(portalKeyFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return envelope.SaveKey(path, s.PortalKey)
}

// writeProfile writes what writeback-send needs to be the portal. File names in it are relative to the profile itself.
func (s *Site) writeProfile() error {
	text, err := json.MarshalIndent(map[string]any{
		"issuer": Issuer, "group": Group, "requests_queue": RequestsQueue, "results_queue": ResultsQueue,
		"key": filepath.Base(portalKeyFile), "agents": []string{filepath.Base(agentKeysFile)},
		"connection_string_file": filepath.Base(portalRelayFile),
	}, "", "  ")
	if err != nil {
		return err
	}
	return s.write(profileFile, append(text, '\n'))
}

// config renders the agent's configuration. It is text, as an administrator would write it, so that the agent's own loader
// is what judges it.
func (s *Site) config(domain Domain) (string, error) {
	quote := func(text string) (string, error) { // a JSON string is a double-quoted YAML scalar
		encoded, err := json.Marshal(text)
		return string(encoded), err
	}
	parsed, err := template.New(configFile).Funcs(template.FuncMap{"quote": quote}).Parse(configText)
	if err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	var text strings.Builder
	err = parsed.Execute(&text, map[string]any{
		"Group": Group, "Agent": AgentName, "Issuer": Issuer, "Domain": domain,
		"Requests": RequestsQueue, "Results": ResultsQueue,
		"State": s.path("state"), "Socket": s.path(socketFile),
		"Relay": relaySecretFile, "Bind": bindSecretFile, "Authority": authorityFile, "Pinned": pinnedKeyFile,
	})
	if err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	return text.String(), nil
}

// configText is the configuration of a lab. What it does not name keeps the agent's own defaults.
const configText = `# Configuration of an agent in a lab, written by writeback-lab. config.example.yaml explains every field.
version: 1
group: {{quote .Group}}
agent: {{quote .Agent}}
state_dir: {{quote .State}}

relay:
  connection_string_file: {{quote .Relay}}
  requests_queue: {{quote .Requests}}
  drain: 5s

domains:
  - name: {{quote .Domain.Name}}
    netbios_name: {{quote .Domain.NetBIOSName}}
    controllers: [{{quote .Domain.Controller}}{{range .Domain.Others}}, {{quote .}}{{end}}]
    ca_file: {{quote .Authority}}
    bind:
      user: {{quote .Domain.BindUser}}
      password_file: {{quote .Bind}}
    scope:
      include: [{{range $i, $dn := .Domain.Include}}{{if $i}}, {{end}}{{quote $dn}}{{end}}]
      exclude: [{{range $i, $dn := .Domain.Exclude}}{{if $i}}, {{end}}{{quote $dn}}{{end}}]

issuers:
  - id: {{quote .Issuer}}
    keys: [{{quote .Pinned}}]
    results_queue: {{quote .Results}}
    operations: [reset, change, unlock, check, ping]

policy:
  hints: {{or .Domain.Hints "require"}}

status:
  socket: {{quote .Socket}}
  group: ""
`
