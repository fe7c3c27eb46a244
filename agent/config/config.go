package config

import (
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// FormatVersion is the version of the file format this package reads.
const FormatVersion = 1

// Config is a whole configuration. As [Load] returns it, every default is filled in, every path is absolute and every value
// has been checked.
type Config struct {
	// Version is the format of the file, [FormatVersion].
	Version int `yaml:"version"`
	// Group is the audience of the requests this agent serves; agents that stand in for one another share it.
	Group string `yaml:"group"`
	// Agent names this agent within its group; default: "agent-" and a hash of the host name.
	Agent string `yaml:"agent"`
	// StateDir holds ledger.db and, unless set elsewhere, audit/ and keys/.
	StateDir string `yaml:"state_dir"`
	// KeysDir holds the agent's private keys; default: keys/ in StateDir.
	KeysDir string `yaml:"keys_dir"`

	Relay   Relay    `yaml:"relay"`
	Domains []Domain `yaml:"domains"`
	Issuers []Issuer `yaml:"issuers"`
	Policy  Policy   `yaml:"policy"`
	Audit   Audit    `yaml:"audit"`
	Status  Status   `yaml:"status"`
	Log     Log      `yaml:"log"`
}

// Relay is the queue the requests come from.
type Relay struct {
	// ConnectionStringFile is a secret file with the Service Bus connection string; its key needs Listen on the requests
	// queue, and Send on the results queues unless ResultsConnectionStringFile is set.
	ConnectionStringFile string `yaml:"connection_string_file"`
	// RequestsQueue is the queue all agents of the group receive from.
	RequestsQueue string `yaml:"requests_queue"`
	// ResultsConnectionStringFile is a secret file with a connection string for sending results; empty: the same as above.
	ResultsConnectionStringFile string `yaml:"results_connection_string_file"`
	// Concurrency is the number of requests in hand at most.
	Concurrency int `yaml:"concurrency"`
	// Drain is how long a stop waits for the requests in hand before it cancels them.
	Drain time.Duration `yaml:"drain"`
}

// Domain is one Active Directory domain the agent writes to.
type Domain struct {
	// Name is the DNS name of the domain, in lower case.
	Name string `yaml:"name"`
	// NetBIOSName is the part before the backslash in DOMAIN\name; default: the first label of Name in upper case.
	NetBIOSName string `yaml:"netbios_name"`
	// Controllers are the domain controllers, preferred first, as host:port. Each must present its host name in its certificate. Empty
	// where they are discovered.
	Controllers []string `yaml:"controllers"`
	// Discovery finds the controllers by DNS instead.
	Discovery Discovery `yaml:"discovery"`
	// Transport is how TLS begins.
	Transport Transport `yaml:"transport"`
	// Pins name the keys of the only certificates that are trusted; empty: every one that leads to the roots.
	Pins []string `yaml:"pins"`
	// UPNSuffixes are what only this domain's users have behind the @; empty: every domain is searched for a UPN.
	UPNSuffixes []string `yaml:"upn_suffixes"`
	// CAFile is a PEM file with the only roots the controllers' certificates may lead to; empty: the system's roots.
	CAFile string `yaml:"ca_file"`
	// SearchBase is where users are looked for; default: the whole domain.
	SearchBase string `yaml:"search_base"`
	// Bind is the delegated account the agent acts as.
	Bind Bind `yaml:"bind"`
	// Connections is the size of the connection pool at most.
	Connections int `yaml:"connections"`
	// Scope says which users may be touched at all.
	Scope Scope `yaml:"scope"`
	// EnabledFor says for whom within the scope the agent works; EnabledGroups are SIDs of groups, for the word groups.
	EnabledFor    EnabledFor `yaml:"enabled_for"`
	EnabledGroups []string   `yaml:"enabled_groups"`
	// ProtectedGroups are SIDs of groups whose members are never touched, in addition to the built-in list.
	ProtectedGroups []string `yaml:"protected_groups"`
	// ProtectedAccounts are SIDs or objectGUIDs of accounts that are never touched.
	ProtectedAccounts []string `yaml:"protected_accounts"`
}

// EnabledFor is whom of a domain's scope the agent works for.
type EnabledFor string

// The words.
const (
	EnabledForAll    EnabledFor = "all"    // everybody in scope
	EnabledForGroups EnabledFor = "groups" // members of EnabledGroups, nested ones too
	EnabledForNobody EnabledFor = "nobody"
)

// Discovery is how a domain's controllers are found.
type Discovery struct {
	// Enabled looks them up in DNS. Each must present the domain's name in its certificate, since names from DNS prove nothing.
	Enabled bool `yaml:"enabled"`
	// Site is the Active Directory site where the users log on; empty: none is preferred. It counts for listed controllers too.
	Site string `yaml:"site"`
	// DNSServers are asked instead of the system's, as address or address:port.
	DNSServers []string `yaml:"dns_servers"`
}

// Transport is how TLS begins on a connection to a controller.
type Transport string

// The transports.
const (
	TransportLDAPS    Transport = "ldaps"    // from the first byte, port 636
	TransportStartTLS Transport = "starttls" // by the StartTLS operation, port 389
)

// Bind is how the agent logs on to a domain's controllers.
type Bind struct {
	// Method is how the account proves itself.
	Method BindMethod `yaml:"method"`
	// User is a userPrincipalName, DOMAIN\name or distinguished name; with Kerberos the logon name, as its keytab has it. It is needed with
	// every method: the agent never touches its own account.
	User string `yaml:"user"`
	// PasswordFile is a secret file with the password, of method simple.
	PasswordFile string `yaml:"password_file"`
	// KeytabFile is a secret file with the account's keys, of method kerberos.
	KeytabFile string `yaml:"keytab_file"`
	// Krb5ConfFile is a krb5.conf that lists the domain's KDCs; empty: the controllers are the KDCs.
	Krb5ConfFile string `yaml:"krb5_conf_file"`
}

// BindMethod is a way to log on.
type BindMethod string

// The methods.
const (
	BindSimple   BindMethod = "simple"   // name and password, inside TLS
	BindKerberos BindMethod = "kerberos" // a keytab; SASL GSSAPI with channel binding
	BindService  BindMethod = "service"  // the account of the Windows service itself
)

// Scope is a set of containers: everything below an included one, less everything below an excluded one.
type Scope struct {
	Include []string `yaml:"include"` // distinguished names; never empty: the whole domain must be named to be included
	Exclude []string `yaml:"exclude"` // distinguished names
}

// Issuer is a portal that may send requests, and what it may ask for.
type Issuer struct {
	// ID is the "iss" of the portal's requests.
	ID string `yaml:"id"`
	// Keys are files with the portal's public keys (JWK), besides those pinned by "keys trust". No key belongs to two issuers.
	Keys []string `yaml:"keys"`
	// ResultsQueue is where this portal's results go, and nobody else's; default: "writeback-results-" and the ID.
	ResultsQueue string `yaml:"results_queue"`
	// Operations the portal may ask for.
	Operations []writeback.Operation `yaml:"operations"`
	// Actors are the roles in which it may ask.
	Actors []writeback.ActorKind `yaml:"actors"`
	// Identifiers by which it may name a user.
	Identifiers []writeback.IdentifierKind `yaml:"identifiers"`
	// RequireMethods is the number of different methods (amr) by which the person must have been verified; 0: not judged.
	RequireMethods int `yaml:"require_methods"`
	// AllowedMethods are the only methods that count towards RequireMethods; empty: every one counts.
	AllowedMethods []string `yaml:"allowed_methods"`
	// MaxAuthAge is how long ago the person may have been verified (auth_time); 0: not judged.
	MaxAuthAge time.Duration `yaml:"max_auth_age"`
	// Rate bounds all requests of the portal together.
	Rate Rate `yaml:"rate"`
	// Scope narrows the domains' scopes for this portal: distinguished names; empty: not narrower.
	Scope []string `yaml:"scope"`
	// WholeDirectory lets the portal learn whether a user exists (user.not_found in place of policy.out_of_scope).
	WholeDirectory bool `yaml:"whole_directory"`
}

// Rate is a number of requests in a time: as many at once, refilled evenly.
type Rate struct {
	Requests int           `yaml:"requests"`
	Per      time.Duration `yaml:"per"`
}

// Policy holds the limits that apply to every request.
type Policy struct {
	// Hints says what to do with a controller that cannot enforce the password history on a reset.
	Hints HintsRule `yaml:"hints"`
	// MaxRequestLife is the longest exp - iat a request may have.
	MaxRequestLife time.Duration `yaml:"max_request_life"`
	// ClockSkew is by how much the portal's clock may differ.
	ClockSkew time.Duration `yaml:"clock_skew"`
	// WriteTimeout is how long one Modify may take before its outcome counts as unknown.
	WriteTimeout time.Duration `yaml:"write_timeout"`
	// ControllerSearch is how long a request may wait for a controller that answers.
	ControllerSearch time.Duration `yaml:"controller_search"`
	// BannedWordsFile is a text file of words that make a password weak; empty: none.
	BannedWordsFile string `yaml:"banned_words_file"`
	// BreachedPasswordsFile is a file, or a folder of range files, of SHA-1 hashes in the form of Have I Been Pwned; empty: none.
	BreachedPasswordsFile string `yaml:"breached_passwords_file"`
	// UserBudget bounds what could be used to guess a user's password, all portals together.
	UserBudget UserBudget `yaml:"user_budget"`
}

// UserBudget is how many changes with a wrong old password, and unlocks, one user may have in any span of Per.
type UserBudget struct {
	Failures int           `yaml:"failures"`
	Per      time.Duration `yaml:"per"`
}

// HintsRule is what to do where LDAP_SERVER_POLICY_HINTS_OID (MS-ADTS 3.1.1.3.4.1.27), which makes a reset obey the password
// history, is not supported.
type HintsRule string

// The rules.
const (
	HintsRequire HintsRule = "require" // refuse with directory.policy_hints_missing
	HintsWarn    HintsRule = "warn"    // write without the history check, and show it in status and log
	HintsAllow   HintsRule = "allow"   // write without the history check
)

// Audit is the hash-chained record of what was done.
type Audit struct {
	// Dir holds the audit files; default: audit/ in StateDir.
	Dir string `yaml:"dir"`
	// MaxFileSize is when a new file is begun.
	MaxFileSize ByteSize `yaml:"max_file_size"`
}

// Status is the local window into the running agent.
type Status struct {
	// Socket is the path of the unix socket.
	Socket string `yaml:"socket"`
	// Group may use the socket besides its owner (not on Windows); empty: the agent's own group.
	Group string `yaml:"group"`
}

// Log is what is written to the standard error, for the journal to pick up.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error
	Format string `yaml:"format"` // text or json
}
