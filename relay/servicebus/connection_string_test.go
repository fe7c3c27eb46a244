package servicebus_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/servicebus"
)

func connectionString(key string) secret.Value {
	return secret.NewString("Endpoint=sb://localhost;SharedAccessKeyName=" + keyName + ";SharedAccessKey=" + key + ";UseDevelopmentEmulator=true")
}

func dial(t testing.TB, connection string) (*servicebus.Agent, error) {
	return servicebus.DialAgent(t.Context(), servicebus.AgentConfig{
		ConnectionString: secret.NewString(connection), RequestsQueue: "requests", Logger: logrus.New(),
	})
}

func TestConnectionStrings(t *testing.T) {
	const keys = ";SharedAccessKeyName=agent;SharedAccessKey=c2VjcmV0LWtleQ=="
	for name, row := range map[string]struct {
		connection string
		address    string // empty: refused
		faults     []string
	}{
		"namespace":            {connection: "Endpoint=sb://corp.servicebus.windows.net/" + keys, address: "corp.servicebus.windows.net:5671"},
		"own queue":            {connection: "Endpoint=sb://corp.servicebus.windows.net/" + keys + ";EntityPath=Requests", address: "corp.servicebus.windows.net:5671"},
		"blanks and newline":   {connection: " endpoint = sb://corp.servicebus.windows.net ; sharedaccesskeyname=a;SharedAccessKey=b ;\r\n", address: "corp.servicebus.windows.net:5671"},
		"port":                 {connection: "Endpoint=sb://corp.example.com:7000" + keys, address: "corp.example.com:7000"},
		"signature":            {connection: "Endpoint=sb://corp.example.com;SharedAccessSignature=SharedAccessSignature sr=x&sig=y", address: "corp.example.com:5671"},
		"emulator":             {connection: "Endpoint=sb://127.0.0.1:5672" + keys + ";UseDevelopmentEmulator=true", address: "127.0.0.1:5672"},
		"emulator, IPv6":       {connection: "Endpoint=sb://[::1]:5672" + keys + ";UseDevelopmentEmulator=true", address: "[::1]:5672"},
		"not the emulator":     {connection: "Endpoint=sb://corp.example.com" + keys + ";UseDevelopmentEmulator=false", address: "corp.example.com:5671"},
		"emulator elsewhere":   {connection: "Endpoint=sb://corp.example.com" + keys + ";UseDevelopmentEmulator=true", faults: []string{"not loopback"}},
		"emulator, look-alike": {connection: "Endpoint=sb://localhost.example.com" + keys + ";UseDevelopmentEmulator=true", faults: []string{"not loopback"}},
		"emulator, user part":  {connection: "Endpoint=sb://localhost@evil.example.com" + keys + ";UseDevelopmentEmulator=true", faults: []string{"Endpoint is not"}},
		"emulator, odd":        {connection: "Endpoint=sb://localhost" + keys + ";UseDevelopmentEmulator=maybe", faults: []string{"neither true nor false"}},
		"empty":                {connection: " \n", faults: []string{"ConnectionString is empty"}},
		"nothing but host":     {connection: "Endpoint=sb://corp.example.com", faults: []string{"SharedAccessKeyName is missing", "SharedAccessKey is missing"}},
		"no endpoint":          {connection: "SharedAccessKeyName=a", faults: []string{"Endpoint is missing", "SharedAccessKey is missing"}},
		"https":                {connection: "Endpoint=https://corp.example.com" + keys, faults: []string{"Endpoint is not"}},
		"path":                 {connection: "Endpoint=sb://corp.example.com/queue" + keys, faults: []string{"Endpoint is not"}},
		"other queue":          {connection: "Endpoint=sb://corp.example.com" + keys + ";EntityPath=elsewhere", faults: []string{"another queue"}},
		"key and signature":    {connection: "Endpoint=sb://corp.example.com" + keys + ";SharedAccessSignature=s", faults: []string{"both"}},
		"unknown key":          {connection: "Endpoint=sb://corp.example.com;AccountKey=c2VjcmV0LWtleQ==", faults: []string{"part 2"}},
		"no key at all":        {connection: "c2VjcmV0LWtleQ==", faults: []string{"part 1"}},
		"twice":                {connection: "Endpoint=sb://a;Endpoint=sb://b" + keys, faults: []string{"repeats"}},
		"two lines":            {connection: "Endpoint=sb://a;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0\nLWtleQ==", faults: []string{"control characters"}},
		"huge":                 {connection: "Endpoint=sb://a" + keys + strings.Repeat("A", 5000), faults: []string{"longer than"}},
	} {
		t.Run(name, func(t *testing.T) {
			agent, err := dial(t, row.connection)
			if row.address != "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				if got := agent.Address(); got != row.address {
					t.Errorf("address %q, want %q", got, row.address)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			checkFault(t, err)
			for _, fault := range row.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("the error does not say %q: %v", fault, err)
				}
			}
			if strings.Contains(err.Error(), "c2VjcmV0") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

// checkFault expects the reason, a remedy and the field's name.
func checkFault(t *testing.T, err error) {
	t.Helper()
	var typed *writeback.Error
	if !errors.As(err, &typed) || typed.Reason != writeback.AgentMisconfigured || typed.Hint == "" {
		t.Errorf("the error carries no reason and remedy: %#v", err)
	}
	if !strings.Contains(err.Error(), "ConnectionString") {
		t.Errorf("the error does not name the field: %v", err)
	}
}

func TestDialNamesEverythingThatIsMissing(t *testing.T) {
	_, agent := servicebus.DialAgent(t.Context(), servicebus.AgentConfig{})
	_, portal := servicebus.DialPortal(t.Context(), servicebus.PortalConfig{Session: strings.Repeat("x", 129)})
	for _, row := range []struct {
		err    error
		fields []string
	}{
		{agent, []string{"ConnectionString", "RequestsQueue", "Logger"}},
		{portal, []string{"ConnectionString", "RequestsQueue", "ResultsQueue", "Session"}},
	} {
		for _, field := range row.fields {
			if row.err == nil || !strings.Contains(row.err.Error(), "servicebus: "+field) {
				t.Errorf("%s is not named in: %v", field, row.err)
			}
		}
	}
}

func TestEachConnectionStringIsNamed(t *testing.T) {
	_, err := servicebus.DialPortal(t.Context(), servicebus.PortalConfig{
		ConnectionString: connectionString("a"), ResultsConnectionString: secret.NewString("Endpoint=sb://a"),
		RequestsQueue: "q", ResultsQueue: "r", Session: "s", Logger: logrus.New(),
	})
	if err == nil || !strings.Contains(err.Error(), "ResultsConnectionString: SharedAccessKey is missing") {
		t.Errorf("got %v, want the second connection string named", err)
	}
}

func FuzzConnectionString(f *testing.F) {
	for _, seed := range []string{
		"", ";", "=", "Endpoint=sb://corp.servicebus.windows.net/;SharedAccessKeyName=agent;SharedAccessKey=c2VjcmV0LWtleQ==;EntityPath=requests",
		"Endpoint=sb://localhost:5672;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true",
		"Endpoint=sb://[::1%25eth0]:1;SharedAccessSignature=SharedAccessSignature sr=a&sig=b", "endpoint=sb://\x00;sharedaccesskey==;",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, connection string) {
		agent, err := dial(t, connection)
		if err != nil {
			checkFault(t, err)
			return
		}
		lower := strings.ToLower(connection)
		if !strings.Contains(lower, "endpoint") || !strings.Contains(lower, "sharedaccess") {
			t.Errorf("accepted without host or key: %q", connection)
		}
		if address := agent.Address(); address == "" || strings.ContainsAny(address, "/;@= \n") {
			t.Errorf("address %q from %q", address, connection)
		}
	})
}
