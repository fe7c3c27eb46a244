package servicebus

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// maxConnectionString is far more than any real one has.
const maxConnectionString = 4 << 10

// endpoint is a connection string, taken apart and checked.
type endpoint struct {
	host      string // without port, unless emulator
	custom    string // host:port to dial instead; empty: the default
	keyName   string
	key       string
	signature string // instead of keyName and key
	emulator  bool
}

// parseConnectionString reads the connection string that the configuration calls field. Where it names an entity, that must be
// queue. All faults are reported together; no value of the string is repeated in them, since any could be the key.
func parseConnectionString(field string, value secret.Value, queue string) (endpoint, error) {
	if value.Len() > maxConnectionString {
		return endpoint{}, misconfigured("Give the connection string alone, as the Azure portal shows it.", "%s is longer than %d bytes", field, maxConnectionString)
	}
	raw := value.Reveal()
	defer clear(raw)
	parts, err := splitConnectionString(field, strings.TrimSpace(string(raw)))
	if err != nil {
		return endpoint{}, err
	}
	parsed := endpoint{keyName: parts["sharedaccesskeyname"], key: parts["sharedaccesskey"], signature: parts["sharedaccesssignature"]}
	err = errors.Join(
		parsed.setMode(field, parts["usedevelopmentemulator"]),
		parsed.setHost(field, parts["endpoint"]),
		parsed.checkKeys(field),
		checkEntity(field, parts["entitypath"], queue),
	)
	if err != nil {
		return endpoint{}, err
	}
	return parsed, nil
}

// knownKey reports whether key, in lower case, is one of a connection string; the service compares them without regard to case.
func knownKey(key string) bool {
	switch key {
	case "endpoint", "sharedaccesskeyname", "sharedaccesskey", "sharedaccesssignature", "entitypath", "usedevelopmentemulator":
		return true
	}
	return false
}

func splitConnectionString(field, raw string) (map[string]string, error) {
	if raw == "" {
		return nil, misconfigured("Copy the connection string of a shared access policy of the queue from the Azure portal.", "%s is empty", field)
	}
	parts := map[string]string{}
	for i, pair := range strings.Split(raw, ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
		switch {
		case !found || !knownKey(key):
			return nil, misconfigured("It must consist of Endpoint=...;SharedAccessKeyName=...;SharedAccessKey=..., each once.",
				"%s: part %d is not a known Key=value", field, i+1)
		case parts[key] != "":
			return nil, misconfigured("Give each key once.", "%s: part %d repeats a key", field, i+1)
		case strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' && key != "sharedaccesssignature" || r < ' ' || r == 0x7f }):
			return nil, misconfigured("Give the connection string on one line.", "%s: part %d contains blanks or control characters", field, i+1)
		}
		parts[key] = value
	}
	return parts, nil
}

func (e *endpoint) setMode(field, value string) error {
	if value == "" {
		return nil
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		return misconfigured("Leave UseDevelopmentEmulator out.", "%s: UseDevelopmentEmulator is neither true nor false", field)
	}
	e.emulator = on
	return nil
}

func (e *endpoint) setHost(field, value string) error {
	const remedy = "It must look like Endpoint=sb://<namespace>.servicebus.windows.net/."
	if value == "" {
		return misconfigured(remedy, "%s: Endpoint is missing", field)
	}
	address, err := url.Parse(value)
	if err != nil || address.Scheme != "sb" || address.Hostname() == "" || address.User != nil ||
		strings.Trim(address.Path, "/") != "" || address.RawQuery != "" || address.Fragment != "" || !plainHost(address.Hostname()) {
		return misconfigured(remedy, "%s: Endpoint is not an address of the form sb://host", field)
	}
	e.host = address.Host
	if e.emulator {
		return checkLoopback(field, address.Hostname())
	}
	if port := address.Port(); port != "" {
		// The host with a port would be compared with the certificate's names and never match.
		e.host, e.custom = address.Hostname(), address.Host
	}
	return nil
}

// plainHost reports whether host has only the characters of names and addresses.
func plainHost(host string) bool {
	return !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._:", r)
	})
}

// checkLoopback refuses to talk without TLS to anything but this host.
func checkLoopback(field, host string) error {
	address, err := netip.ParseAddr(host)
	if strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback() {
		return nil
	}
	return misconfigured("UseDevelopmentEmulator turns TLS off and is allowed for localhost only; remove it.",
		"%s: UseDevelopmentEmulator with a host that is not loopback", field)
}

func (e *endpoint) checkKeys(field string) error {
	const remedy = "Copy the whole connection string of a shared access policy of the queue from the Azure portal."
	switch {
	case e.signature != "" && (e.key != "" || e.keyName != ""):
		return misconfigured("Give either a key with its name or a signature.", "%s: both SharedAccessKey and SharedAccessSignature", field)
	case e.signature != "":
		return nil
	}
	var faults []error
	if e.keyName == "" {
		faults = append(faults, misconfigured(remedy, "%s: SharedAccessKeyName is missing", field))
	}
	if e.key == "" {
		faults = append(faults, misconfigured(remedy, "%s: SharedAccessKey is missing", field))
	}
	return errors.Join(faults...)
}

func checkEntity(field, entity, queue string) error {
	if entity == "" || strings.EqualFold(entity, queue) {
		return nil
	}
	return misconfigured("Use the connection string of that queue, or one of the namespace.",
		"%s: it is for another queue (EntityPath) than the configured %q", field, queue)
}

// reveal returns a connection string the SDK understands, without the parts that were checked here and would confuse it.
// It holds the key in clear: only the SDK may see it.
func (e endpoint) reveal() string {
	parts := []string{"Endpoint=sb://" + e.host}
	if e.signature != "" {
		parts = append(parts, "SharedAccessSignature="+e.signature)
	} else {
		parts = append(parts, "SharedAccessKeyName="+e.keyName, "SharedAccessKey="+e.key)
	}
	if e.emulator {
		parts = append(parts, "UseDevelopmentEmulator=true")
	}
	return strings.Join(parts, ";")
}

// address returns what to show to people.
func (e endpoint) address() string {
	if e.custom != "" {
		return e.custom
	}
	if _, _, err := net.SplitHostPort(e.host); err == nil || e.emulator {
		return e.host
	}
	return net.JoinHostPort(e.host, "5671")
}

// misconfigured is a fault in the configuration, with its remedy.
func misconfigured(remedy, format string, args ...any) error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Hint: remedy, Cause: fmt.Errorf("servicebus: "+format, args...)}
}
