package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each case changes one line of the minimal configuration and expects exactly the faults named, as "path: problem".
func TestValues(t *testing.T) {
	const (
		name        = "  - name: corp.example.com"
		controllers = "    controllers: [dc1.corp.example.com]"
		include     = `      include: ["OU=Staff,DC=corp,DC=example,DC=com"]`
		keys        = "    keys: [portal.jwk]"
		concurrency = "  connection_string_file: relay.secret"
	)
	cases := map[string]struct {
		old, replacement string
		want             []string
	}{
		"group with a slash":       {"group: corp", "group: corp/a", []string{"group: not a valid name"}},
		"group null":               {"group: corp", "group:", []string{"group: is missing"}},
		"group a number":           {"group: corp", "group: 17", []string{"group: must be text"}},
		"group anchored":           {"group: corp", "group: &g corp", []string{"group: anchors and aliases are not supported"}},
		"agent too long":           {"agent: a1", "agent: " + strings.Repeat("a", 65), []string{"agent: not a valid name"}},
		"version of the past":      {"version: 1", "version: -1", []string{"version: is unknown"}},
		"state_dir empty":          {"agent: a1", "agent: a1\nstate_dir: \"\"", []string{"state_dir: is missing"}},
		"nested where text":        {"group: corp", "group: {a: b}", []string{"group: must be a single value"}},
		"text where nested":        {"agent: a1", "agent: a1\npolicy: strict", []string{"policy: must be a set of fields"}},
		"no requests queue":        {concurrency, concurrency + "\n  requests_queue: \"\"", []string{"relay.requests_queue: is missing"}},
		"bad requests queue":       {concurrency, concurrency + "\n  requests_queue: a b", []string{"relay.requests_queue: not a valid name"}},
		"concurrency low":          {concurrency, concurrency + "\n  concurrency: 0", []string{"relay.concurrency: is out of range"}},
		"concurrency high":         {concurrency, concurrency + "\n  concurrency: 257", []string{"relay.concurrency: is out of range"}},
		"concurrency a fraction":   {concurrency, concurrency + "\n  concurrency: 1.5", []string{"relay.concurrency: must be a whole number"}},
		"concurrency in quotes":    {concurrency, concurrency + "\n  concurrency: \"16\"", []string{"relay.concurrency: must be a whole number"}},
		"concurrency enormous":     {concurrency, concurrency + "\n  concurrency: 99999999999999999999", []string{"relay.concurrency: must be a whole number"}},
		"drain without unit":       {concurrency, concurrency + "\n  drain: 20", []string{"relay.drain: must be a time with its unit"}},
		"drain negative":           {concurrency, concurrency + "\n  drain: -5s", []string{"relay.drain: is out of range"}},
		"domain with a space":      {name, "  - name: corp example", []string{"domains[0].name: not a valid name", "domains[0].scope.include[0]: not in a configured domain"}},
		"domain without a name":    {name, "  - name: ''", []string{"domains[0].name: is missing"}},
		"NetBIOS name with a dot":  {name, name + "\n    netbios_name: CORP.X", []string{"domains[0].netbios_name: not a valid name"}},
		"NetBIOS name too long":    {name, name + "\n    netbios_name: ABCDEFGHIJKLMNOP", []string{"domains[0].netbios_name: not a valid name"}},
		"no controllers":           {controllers, "    controllers: []", []string{"domains[0].controllers: is missing"}},
		"controller empty":         {controllers, "    controllers: [\"\"]", []string{"domains[0].controllers[0]: not a host name"}},
		"controller null":          {controllers, "    controllers: [~]", []string{"domains[0].controllers[0]: is empty"}},
		"controller a URL":         {controllers, "    controllers: ['ldaps://dc1']", []string{"domains[0].controllers[0]: not a host name"}},
		"controller without TLS":   {controllers, "    controllers: ['dc1:389']", []string{"domains[0].controllers[0]: port 389 begins without TLS"}},
		"controller a catalog":     {controllers, "    controllers: ['dc1:3269']", []string{"domains[0].controllers[0]: a global catalog cannot be written to"}},
		"controller port 0":        {controllers, "    controllers: ['dc1:0']", []string{"domains[0].controllers[0]: not a port"}},
		"controller twice":         {controllers, "    controllers: [dc1, 'DC1:636']", []string{"domains[0].controllers[1]: the same as domains[0].controllers[0]"}},
		"discovery":                {controllers, "    discovery: {enabled: true, site: Berlin-1, dns_servers: [192.0.2.53, '[2001:db8::1]:5353', '2001:db8::2']}", nil},
		"discovery and a list":     {controllers, controllers + "\n    discovery: {enabled: true}", []string{"domains[0].controllers: listed, and to be discovered too"}},
		"discovery by a name":      {controllers, "    discovery: {enabled: true, dns_servers: [dns1]}", []string{"domains[0].discovery.dns_servers[0]: not an IP address"}},
		"discovery in no site":     {controllers, controllers + "\n    discovery: {site: a.b}", []string{"domains[0].discovery.site: not the name of a site"}},
		"transport":                {controllers, controllers + "\n    transport: ldap", []string{"domains[0].transport: unknown value"}},
		"StartTLS":                 {controllers, "    controllers: [dc1, 'dc2:389', 'dc3:10389']\n    transport: starttls", nil},
		"StartTLS to LDAPS":        {controllers, "    controllers: ['dc1:636']\n    transport: starttls", []string{"domains[0].controllers[0]: port 636 begins with TLS"}},
		"a pin":                    {controllers, controllers + "\n    pins: [sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]", nil},
		"a pin in hex":             {controllers, controllers + "\n    pins: [e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855]", []string{"domains[0].pins[0]: not a pin"}},
		"a pin cut short":          {controllers, controllers + "\n    pins: [sha256/47DEQpj8HBSa]", []string{"domains[0].pins[0]: not a pin"}},
		"a pin twice":              {controllers, controllers + "\n    pins: [sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=, sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=]", []string{"domains[0].pins[1]: the same as domains[0].pins[0]"}},
		"a suffix":                 {controllers, controllers + "\n    upn_suffixes: [corp.example.com, example.com]", nil},
		"a suffix with an @":       {controllers, controllers + "\n    upn_suffixes: ['@example.com']", []string{"domains[0].upn_suffixes[0]: not a valid name"}},
		"a suffix twice":           {controllers, controllers + "\n    upn_suffixes: [example.com, Example.com]", []string{"domains[0].upn_suffixes[1]: the same as domains[0].upn_suffixes[0]"}},
		"a suffix of another":      {name, "  - {name: lab.example.net, upn_suffixes: [lab.example.net, Corp.Example.com], controllers: [dc9], bind: {user: a@lab, password_file: relay.secret}, scope: {include: ['DC=lab,DC=example,DC=net']}}\n" + name, []string{"domains[0].upn_suffixes[1]: the name of domains[1]"}},
		"connections":              {controllers, controllers + "\n    connections: 65", []string{"domains[0].connections: is out of range"}},
		"search base":              {controllers, controllers + "\n    search_base: corp", []string{"domains[0].search_base: not a distinguished name"}},
		"search base elsewhere":    {controllers, controllers + "\n    search_base: 'DC=other,DC=com'", []string{"domains[0].search_base: not in a configured domain"}},
		"enabled for few":          {controllers, controllers + "\n    enabled_for: groups\n    enabled_groups: [S-1-5-21-1-2-3-1601]", nil},
		"enabled for nobody":       {controllers, controllers + "\n    enabled_for: nobody", nil},
		"enabled for some":         {controllers, controllers + "\n    enabled_for: some", []string{"domains[0].enabled_for: unknown value"}},
		"enabled for no group":     {controllers, controllers + "\n    enabled_for: groups", []string{"domains[0].enabled_groups: is missing"}},
		"enabled group by name":    {controllers, controllers + "\n    enabled_for: groups\n    enabled_groups: [Pilot]", []string{"domains[0].enabled_groups[0]: not a SID"}},
		"enabled groups, for all":  {controllers, controllers + "\n    enabled_groups: [S-1-5-21-1-2-3-1601]", []string{"domains[0].enabled_groups: does not count"}},
		"breached ones":            {"agent: a1", "agent: a1\npolicy: {breached_passwords_file: relay.secret}", nil},
		"protected group by name":  {controllers, controllers + "\n    protected_groups: [Admins]", []string{"domains[0].protected_groups[0]: not a SID"}},
		"protected account":        {controllers, controllers + "\n    protected_accounts: [svc-backup]", []string{"domains[0].protected_accounts[0]: neither a SID nor an objectGUID"}},
		"protected accounts":       {controllers, controllers + "\n    protected_accounts: [S-1-5-21-1-2-3-500, 6f9619ff-8b86-d011-b42d-00c04fc964ff]", nil},
		"user missing":             {"      user: svc@corp.example.com", "      user: ''", []string{"domains[0].bind.user: is missing"}},
		"user in double quotes":    {"      user: svc@corp.example.com", `      user: "CORP\new"`, []string{"domains[0].bind.user: holds control characters"}},
		"user without a domain":    {"      user: svc@corp.example.com", "      user: svc", []string{"domains[0].bind.user: holds no domain"}},
		"user by SID":              {"      user: svc@corp.example.com", "      user: S-1-5-21-1-2-3-1105", nil},
		"user by its whole name":   {"      user: svc@corp.example.com", "      user: CN=svc,DC=corp,DC=example,DC=com", nil},
		"user with a backslash":    {"      user: svc@corp.example.com", `      user: CORP\new`, nil},
		"nothing included":         {include, "      include: []", []string{"domains[0].scope.include: is missing"}},
		"included without DN":      {include, "      include: [Staff]", []string{"domains[0].scope.include[0]: not a distinguished name"}},
		"included elsewhere":       {include, "      include: ['OU=Staff,DC=example,DC=com']", []string{"domains[0].scope.include[0]: not in a configured domain"}},
		"included as typed":        {include, `      include: ['ou=Staff\, all , dc = Corp,DC=EXAMPLE,DC=com', 'DC=corp,DC=example,DC=com']`, nil},
		"included twice":           {include, "      include: ['DC=corp,DC=example,DC=com', 'dc=corp,DC=example,DC=com']", []string{"domains[0].scope.include[1]: the same as domains[0].scope.include[0]"}},
		"excluded without DN":      {include, include + "\n      exclude: ['OU=,DC=corp,DC=example,DC=com']", []string{"domains[0].scope.exclude[0]: not a distinguished name"}},
		"issuer without id":        {"  - id: portal", "  - id: ''", []string{"issuers[0].id: is missing"}},
		"issuer named by a URL":    {"  - id: portal", "  - id: https://portal.example.test:8443/a+b\n    results_queue: results", nil},
		"a URL names no queue":     {"  - id: portal", "  - id: https://portal.example.test", []string{"issuers[0].results_queue: not a valid name"}},
		"issuer with a space":      {"  - id: portal", "  - id: a portal\n    results_queue: results", []string{"issuers[0].id: not a valid name"}},
		"issuer too long":          {"  - id: portal", "  - id: " + strings.Repeat("p", 129) + "\n    results_queue: results", []string{"issuers[0].id: not a valid name"}},
		"results queue shared":     {keys, keys + "\n    results_queue: Writeback-Requests", []string{"issuers[0].results_queue: the same queue as relay.requests_queue"}},
		"key without a name":       {keys, "    keys: [\"\"]", []string{"issuers[0].keys[0]: is missing"}},
		"no operations":            {keys, keys + "\n    operations: []", []string{"issuers[0].operations: is missing"}},
		"unknown operation":        {keys, keys + "\n    operations: [reset, fly]", []string{"issuers[0].operations[1]: unknown value"}},
		"operation twice":          {keys, keys + "\n    operations: [ping, ping]", []string{"issuers[0].operations[1]: the same as issuers[0].operations[0]"}},
		"unknown actor":            {keys, keys + "\n    actors: [robot]", []string{"issuers[0].actors[0]: unknown value"}},
		"unknown identifier":       {keys, keys + "\n    identifiers: [phone]", []string{"issuers[0].identifiers[0]: unknown value"}},
		"every word":               {keys, keys + "\n    operations: [reset, change, unlock, check, ping]\n    actors: [self, admin]\n    identifiers: [sid, guid, upn, sam, immutable_id, mail]", nil},
		"too many methods":         {keys, keys + "\n    require_methods: 6", []string{"issuers[0].require_methods: is out of range"}},
		"more than are allowed":    {keys, keys + "\n    require_methods: 2\n    allowed_methods: [otp]", []string{"issuers[0].require_methods: more methods than allowed_methods lists"}},
		"method of a name space":   {keys, keys + "\n    allowed_methods: ['urn:x/face']", nil},
		"method name":              {keys, keys + "\n    allowed_methods: ['one time']", []string{"issuers[0].allowed_methods[0]: not a valid name"}},
		"auth age":                 {keys, keys + "\n    max_auth_age: 25h", []string{"issuers[0].max_auth_age: is out of range"}},
		"no requests":              {keys, keys + "\n    rate: {requests: 0}", []string{"issuers[0].rate.requests: is out of range"}},
		"no time for requests":     {keys, keys + "\n    rate: {requests: 10, per: 0s}", []string{"issuers[0].rate.per: is out of range"}},
		"a rate beyond the ledger": {keys, keys + "\n    rate: {requests: 1000, per: 1m}", []string{"issuers[0].rate: more than a million requests a day, which is more than the ledger is made for"}},
		"a rate":                   {keys, keys + "\n    rate: {requests: 600, per: 1m}", nil},
		"no budget":                {"agent: a1", "agent: a1\npolicy: {user_budget: {failures: 0}}", []string{"policy.user_budget.failures: is out of range"}},
		"a budget for a second":    {"agent: a1", "agent: a1\npolicy: {user_budget: {per: 1s}}", []string{"policy.user_budget.per: is out of range"}},
		"issuer scope":             {keys, keys + "\n    scope: ['OU=x,DC=y']", []string{"issuers[0].scope[0]: not in a configured domain"}},
		"issuer scope and all":     {keys, keys + "\n    scope: ['OU=x,DC=corp,DC=example,DC=com']\n    whole_directory: true", []string{"issuers[0].whole_directory: contradicts scope"}},
		"whole directory in words": {keys, keys + "\n    whole_directory: 'yes'", []string{"issuers[0].whole_directory: must be true or false"}},
		"no issuers":               {"  - id: portal\n" + keys, "  []", []string{"issuers: is missing"}},
		"hints":                    {"agent: a1", "agent: a1\npolicy: {hints: maybe}", []string{"policy.hints: unknown value"}},
		"life beyond the lock":     {"agent: a1", "agent: a1\npolicy: {max_request_life: 121s}", []string{"policy.max_request_life: is out of range"}},
		"skew beyond the lock":     {"agent: a1", "agent: a1\npolicy: {clock_skew: 31s}", []string{"policy.clock_skew: is out of range"}},
		"no skew, which is 30 s":   {"agent: a1", "agent: a1\npolicy: {clock_skew: 0s}", []string{"policy.clock_skew: is out of range"}},
		"write timeout":            {"agent: a1", "agent: a1\npolicy: {write_timeout: 0s}", []string{"policy.write_timeout: is out of range"}},
		"controller search":        {"agent: a1", "agent: a1\npolicy: {controller_search: 2m}", []string{"policy.controller_search: is out of range"}},
		"audit size":               {"agent: a1", "agent: a1\naudit: {max_file_size: 1KiB}", []string{"audit.max_file_size: is out of range"}},
		"audit size in words":      {"agent: a1", "agent: a1\naudit: {max_file_size: big}", []string{"audit.max_file_size: must be a size"}},
		"audit size overflowing":   {"agent: a1", "agent: a1\naudit: {max_file_size: 9000000000GiB}", []string{"audit.max_file_size: must be a size"}},
		"socket too long":          {"status:", "status:\n  socket: /" + strings.Repeat("s", 103), []string{"status.socket: the path is too long for a unix socket"}},
		"log level":                {"agent: a1", "agent: a1\nlog: {level: trace}", []string{"log.level: unknown value"}},
		"log format":               {"agent: a1", "agent: a1\nlog: {format: xml}", []string{"log.format: unknown value"}},
		"status group":             {`  group: ""`, "  group: no-such-group-here", []string{"status.group: there is no such group on this host"}},
		"unknown keys everywhere":  {concurrency, concurrency + "\n  ? [a]\n  : b\n  queue: x", []string{"relay.?: unknown field", "relay.queue: unknown field"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, installation(t), with(t, c.old, c.replacement))
			var got []string
			for _, fault := range faultsOf(t, err) {
				got = append(got, fault.Path+": "+fault.Problem)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPasswordListsMustBeThere(t *testing.T) {
	_, err := load(t, installation(t), minimal+"policy: {banned_words_file: words.txt, breached_passwords_file: pwned}\n")
	faults := faultsOf(t, err)
	if len(faults) != 2 {
		t.Fatalf("faults: %v", faults)
	}
	for i, file := range []string{"banned_words_file", "breached_passwords_file"} {
		if f := faults[i]; f.Path != "policy."+file || !strings.Contains(f.Problem, "does not exist") || f.Remedy == "" {
			t.Errorf("%s: %+v", file, f)
		}
	}
}

func TestBoundsAreWrittenAsPeopleWriteThem(t *testing.T) {
	text := minimal + "policy: {max_request_life: 1h, user_budget: {failures: 1000, per: 1s}, write_timeout: 1h}\n"
	_, err := load(t, installation(t), text)
	var got []string
	for _, fault := range faultsOf(t, err) {
		got = append(got, fault.Remedy)
	}
	if diff := cmp.Diff([]string{"Use 1s to 2m.", "Use 100ms to 30s.", "Use 1 to 100.", "Use 1m to 24h."}, got); diff != "" {
		t.Error(diff)
	}
}

func TestTwoDomainsTwoIssuers(t *testing.T) {
	text := strings.Replace(minimal, "issuers:\n", `  - name: CORP.example.com
    controllers: [dc9]
    bind: {user: svc@corp.example.com, password_file: bind.secret}
    scope: {include: ["DC=corp,DC=example,DC=com"]}
issuers:
  - id: other
    keys: [other.jwk, ./portal.jwk]
    results_queue: Writeback-Results-Portal
    scope: ["OU=x,DC=corp,DC=example,DC=com"]
`, 1)
	_, err := load(t, installation(t), text)
	var got []string
	for _, fault := range faultsOf(t, err) {
		got = append(got, fault.Path+": "+fault.Problem)
	}
	want := []string{
		"domains[1].name: the same as domains[0].name",
		"domains[1].netbios_name: the same as domains[0].netbios_name",
		"issuers[1].results_queue: the same as issuers[0].results_queue",
		"issuers[1].keys[0]: the same file as issuers[0].keys[1]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
}

func TestUnknownFieldsGetASuggestion(t *testing.T) {
	for unknown, want := range map[string]string{
		"isuers":                    "Did you mean issuers?",
		"Group":                     "Did you mean group?",
		"statedir":                  "Did you mean state_dir?",
		"password":                  "Remove it; known here: version, group, agent, state_dir, keys_dir, relay, domains, issuers, policy, audit, status, log.",
		strings.Repeat("group", 20): "Remove it; known here: version, group, agent, state_dir, keys_dir, relay, domains, issuers, policy, audit, status, log.",
	} {
		_, err := load(t, installation(t), minimal+unknown+": x\n")
		if faults := faultsOf(t, err); len(faults) != 1 || faults[0].Remedy != want {
			t.Errorf("%.20s: %v, want %s", unknown, err, want)
		}
	}
}
