package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/config"
)

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]struct{ content, want, problem string }{
		"plain":             {content: "p4ss", want: "p4ss"},
		"one line end":      {content: "p4ss\n", want: "p4ss"},
		"a Windows one":     {content: "p4ss\r\n", want: "p4ss"},
		"only the last one": {content: " p4ss \n\n", want: " p4ss \n"},
		"a lone CR stays":   {content: "p4ss\r", want: "p4ss\r"},
		"empty":             {content: "", problem: "the secret file is empty"},
		"only a line end":   {content: "\n", problem: "the secret file is empty"},
		"at the bound":      {content: strings.Repeat("x", 64<<10), want: strings.Repeat("x", 64<<10)},
		"beyond the bound":  {content: strings.Repeat("x", 64<<10+1), problem: "the file is larger than 64KiB"},
	}
	for name, c := range cases {
		got, err := config.ReadSecret(put(t, dir, "secret", c.content, 0o600))
		if problem := text(err); problem != c.problem {
			t.Errorf("%s: error %q, want %q", name, problem, c.problem)
		}
		if plain := string(got.Reveal()); plain != c.want {
			t.Errorf("%s: %d bytes, want %d", name, len(plain), len(c.want))
		}
	}
}

func TestReadSecretNeverRepeatsThePath(t *testing.T) {
	for _, path := range []string{"Endpoint=sb://x/;SharedAccessKey=needle", "/needle\x00", t.TempDir()} {
		_, err := config.ReadSecret(path)
		if err == nil || strings.Contains(err.Error(), "needle") || strings.Contains(err.Error(), "/tmp") {
			t.Errorf("ReadSecret: %v", err)
		}
	}
}

// A person who puts a secret where the name of its file belongs must not find it in a terminal or a log.
func TestNoFaultRepeatsASecret(t *testing.T) {
	const needle = "n33dle"
	cases := map[string]string{
		"connection string": with(t, "connection_string_file: relay.secret", "connection_string_file: Endpoint=sb://h/;SharedAccessKey="+needle),
		"results string":    with(t, "connection_string_file: relay.secret", "connection_string_file: relay.secret\n  results_connection_string_file: "+needle),
		"bind password":     with(t, "password_file: bind.secret", "password_file: "+needle),
		"with a NUL":        with(t, "password_file: bind.secret", `password_file: "`+needle+`\0"`),
		"under a wrong key": with(t, "password_file: bind.secret", "password: "+needle),
		"as a list":         with(t, "password_file: bind.secret", "password_file: ["+needle+"]"),
		"as a binary":       with(t, "password_file: bind.secret", "password_file: !!binary "+needle),
		"looks like alias":  with(t, "password_file: bind.secret", "password_file: *"+needle),
		"looks like anchor": with(t, "password_file: bind.secret", "password_file: &"+needle+" x"),
		"broken quotes":     with(t, "password_file: bind.secret", `password_file: "`+needle+`\q"`),
		"a mapping":         with(t, "password_file: bind.secret", "password_file: x: "+needle),
		"a tag":             with(t, "password_file: bind.secret", "password_file: !"+needle+"%zz x"),
	}
	for name, text := range cases {
		_, err := load(t, installation(t), text)
		if err == nil {
			t.Errorf("%s: loaded", name)
		} else if strings.Contains(err.Error(), needle) {
			t.Errorf("%s: the fault shows the secret:\n%v", name, err)
		}
	}
}

func TestCAFiles(t *testing.T) {
	good := certificate(t)
	damaged := strings.Replace(good, "\nMI", "\nMJ", 1)
	cases := map[string]struct{ content, problem string }{
		"one":            {good, ""},
		"two and text":   {"subject=x\n" + good + "\n" + certificate(t), ""},
		"empty":          {"", "the file holds no certificate in PEM form"},
		"DER":            {"\x30\x82\x01\x00", "the file holds no certificate in PEM form"},
		"a private key":  {good + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", `the file holds a block "PRIVATE KEY", not only certificates`},
		"a damaged one":  {damaged, "the file holds a damaged certificate: "},
		"second damaged": {good + damaged, "the file holds a damaged certificate: "},
	}
	for name, c := range cases {
		dir := installation(t)
		path := put(t, dir, "root.pem", c.content, 0o644)
		pool, err := config.ReadCAFile(path)
		if problem := text(err); (c.problem == "") != (err == nil) || !strings.HasPrefix(problem, c.problem) {
			t.Errorf("%s: error %q, want %q", name, problem, c.problem)
		}
		if (pool != nil) != (c.problem == "") {
			t.Errorf("%s: pool %v", name, pool)
		}
		_, err = load(t, dir, with(t, "    bind:\n", "    ca_file: root.pem\n    bind:\n"))
		faults := faultsOf(t, err)
		if c.problem != "" && (len(faults) != 1 || faults[0].Path != "domains[0].ca_file" || !strings.HasPrefix(faults[0].Problem, path+": "+c.problem)) {
			t.Errorf("%s: Load: %v", name, err)
		}
	}
}

func TestByteSize(t *testing.T) {
	for text, want := range map[string]config.ByteSize{"0": 0, "17": 17, "1KiB": 1024, "64 MiB": 64 << 20, "3GiB": 3 << 30} {
		if got, err := config.ParseByteSize(text); err != nil || got != want {
			t.Errorf("ParseByteSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "1KB", "1.5MiB", "9223372036854775807KiB"} {
		if got, err := config.ParseByteSize(text); err == nil {
			t.Errorf("ParseByteSize(%q) = %d", text, got)
		}
	}
	for size, want := range map[config.ByteSize]string{0: "0", 1000: "1000", 1536: "1536", 2048: "2KiB", 64 << 20: "64MiB", 1 << 30: "1GiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d prints %s, want %s", int64(size), got, want)
		}
	}
}

func TestPathsAreAbsoluteWhateverTheCurrentFolder(t *testing.T) {
	dir := installation(t)
	put(t, dir, "config.yaml", minimal, 0o644)
	t.Chdir(filepath.Dir(dir))
	got, err := config.Load(filepath.Join(filepath.Base(dir), "config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "bind.secret"); got.Domains[0].Bind.PasswordFile != want {
		t.Errorf("password_file = %s, want %s", got.Domains[0].Bind.PasswordFile, want)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
