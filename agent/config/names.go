package config

import (
	"net"
	"regexp"
	"strconv"
	"strings"
)

const (
	maxNetBIOS = 15 // characters of a NetBIOS name (MS-ADTS 3.1.1.1.4; the 16th byte is the service)
)

// A rule is what a text must look like, in both languages: the machine's and the reader's.
type rule struct {
	pattern *regexp.Regexp
	means   string
}

func (r rule) matches(text string) bool { return r.pattern.MatchString(text) }

func idRule() rule {
	return rule{
		regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`),
		"Use up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit.",
	}
}

// issuerRule is that of the protocol: whatever "iss" can be can be configured.
func issuerRule() rule {
	return rule{
		regexp.MustCompile(`^[A-Za-z0-9._:/+-]{1,128}$`),
		"Use what the portal writes as iss: up to 128 letters, digits, dots, hyphens, underscores, colons, slashes and plus signs.",
	}
}

// queueRule is Service Bus' own for the names of queues.
func queueRule() rule {
	return rule{
		regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?$`),
		"Use up to 260 letters, digits, dots, hyphens, underscores and slashes, beginning and ending with a letter or digit.",
	}
}

func dnsRule() rule {
	return rule{
		regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`),
		"Use the DNS name of the domain, for example corp.example.com.",
	}
}

func netBIOSRule() rule {
	return rule{
		regexp.MustCompile(`^[^\\/:*?"<>|.\s\x00-\x1f]{1,15}$`),
		"Use the name before the backslash in DOMAIN\\name: up to 15 characters, no dots.",
	}
}

// methodRule is that of the protocol's "amr".
func methodRule() rule {
	return rule{
		regexp.MustCompile(`^[A-Za-z0-9._:/+-]{1,32}$`),
		"Use values of the registry of authentication methods (RFC 8176), for example otp or hwk.",
	}
}

// sidRule is the text form of MS-DTYP 2.4.2.1, with decimal authority.
func sidRule() rule {
	return rule{
		regexp.MustCompile(`^S-1-[0-9]{1,15}(-[0-9]{1,10}){1,15}$`),
		"Use a SID, for example S-1-5-21-1004336348-1177238915-682003330-512.",
	}
}

// withPort adds the port to a host that has none. What is neither is returned as it is, and found by controllerProblem.
func withPort(host string, port int) string {
	if _, _, err := net.SplitHostPort(host); err == nil || host == "" {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}

// port is the well-known one of a transport.
func (t Transport) port() int {
	if t == TransportStartTLS {
		return 389
	}
	return 636
}

// controllerProblem says what is wrong with a controller's host:port; empty: nothing.
func controllerProblem(address string, transport Transport) (problem, remedy string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.Contains(address, "/") || net.ParseIP(host) == nil && (len(host) > 253 || !dnsRule().matches(host)) {
		return "not a host name", "Write the controller's host name as in its certificate, with or without :port."
	}
	number, err := strconv.Atoi(port)
	switch {
	case err != nil || number < 1 || number > 65535:
		return "not a port", "Write a number from 1 to 65535 after the colon."
	case number == 3268 || number == 3269:
		return "a global catalog cannot be written to", "Name a controller of the domain: leave the port out, or write " + strconv.Itoa(transport.port()) + "."
	case number == 389 && transport != TransportStartTLS:
		return "port 389 begins without TLS", "Leave the port out for LDAPS, or write transport: starttls."
	case number == 636 && transport == TransportStartTLS:
		return "port 636 begins with TLS", "Leave the port out for StartTLS, or write transport: ldaps."
	}
	return "", ""
}
