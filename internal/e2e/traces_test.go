package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// testRepeated sends one token many times at once, each time in a message of its own: one is served, the others are answered
// from memory, and the directory is written to once.
func testRepeated(t *testing.T, built programs) {
	f := installFake(t, built)
	token := f.goodToken(t, "ada")
	const times = 20
	var waiting []func() writeback.Outcome
	for range times {
		waiting = append(waiting, f.exchangeLater(t, token))
	}
	for _, wait := range waiting {
		wantWritten(t, wait())
	}
	// Late answers count too: after a request that was sent last, everything before it has ended.
	f.wantReset(t, "ben")
	if writes := f.directory.Writes("ada"); writes != 1 {
		t.Errorf("the password was written %d times, want once", writes)
	}
}

// testTraces looks at what an agent leaves behind on its host: an audit that is whole and tells both halves of every write,
// also across a crash, and nowhere a secret, not even in a log at debug level.
func testTraces(t *testing.T, built programs) {
	f := installFake(t, built, "\nlog:\n  level: debug\n")
	used := []secret.Value{f.directory.First("hugo"), f.directory.Domain().Password, accessKey(t, f)}
	for login, want := range map[string]writeback.Reason{"ada": writeback.ReasonOK, "ida": writeback.PolicyProtectedUser, "jan": writeback.PolicyOutOfScope} {
		password := newPassword("Geheim-密码-")
		used = append(used, password)
		if got := f.reset(t, f.named(t, login), password); got.Reason != want {
			t.Errorf("%s: got %s, want %s", login, got.Reason, want)
		}
	}
	wantRefused(t, f.reset(t, f.named(t, "hugo"), used[0]), writeback.PasswordRefused)
	check(t, f.agent.Kill())
	f.start(t)
	f.wantReset(t, "ben")
	check(t, f.agent.Stop())

	folder := f.program.Site.Folder
	report, err := audit.Verify(t.Context(), folder+"/state/audit")
	check(t, err)
	if !report.Intact() {
		t.Errorf("the audit is damaged: %+v", report.Findings)
	}
	wantWholeStory(t, folder+"/state/audit")
	wantNoSecret(t, folder, used)
}

// wantWholeStory: three requests reached the directory (ada's and ben's were written, hugo's was refused there), five ended, and no
// intent is without an end. After the crash an end may stand there twice: once as it was, once as the next start found it.
func wantWholeStory(t *testing.T, dir string) {
	t.Helper()
	starts, intents, ends := 0, map[string]bool{}, map[string]bool{}
	for entry, err := range audit.Read(t.Context(), dir) {
		check(t, err)
		switch entry.Kind {
		case audit.KindStart:
			starts++
		case audit.KindIntent:
			intents[entry.Request.ID] = true
		case audit.KindOutcome, audit.KindRefused, audit.KindReconciled:
			ends[entry.Request.ID] = true
		default:
		}
	}
	for id := range intents {
		if !ends[id] {
			t.Errorf("the audit does not say how %s ended", id)
		}
	}
	if starts != 2 || len(intents) != 3 || len(ends) != 5 {
		t.Errorf("the audit tells of %d starts, %d intents and %d ends, want 2, 3 and 5", starts, len(intents), len(ends))
	}
}

// accessKey is the key in the agent's connection string.
func accessKey(t *testing.T, f fake) secret.Value {
	t.Helper()
	_, rest, _ := strings.Cut(string(f.namespace.AgentConnection().Reveal()), "SharedAccessKey=")
	key, _, found := strings.Cut(rest, ";")
	if !found {
		t.Fatal("no key in the connection string")
	}
	return secret.NewString(key)
}

// wantNoSecret searches every file an agent writes for secrets in the forms they take on their way.
func wantNoSecret(t *testing.T, folder string, secrets []secret.Value) {
	t.Helper()
	searched := 0
	files := os.DirFS(folder)
	check(t, fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		check(t, err)
		if entry.IsDir() && (name == "secrets" || name == "portal") {
			return fs.SkipDir // where they belong
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		content, err := fs.ReadFile(files, name)
		check(t, err)
		searched++
		for i, value := range secrets {
			for form, needle := range forms(value) {
				if bytes.Contains(content, needle) {
					t.Errorf("%s holds secret %d as %s", name, i, form)
				}
			}
		}
		return nil
	}))
	if searched < 5 { // configuration, log, ledger, audit, keys
		t.Errorf("only %d files were searched", searched)
	}
}

func forms(value secret.Value) map[string][]byte {
	plain := value.Reveal()
	var wide []byte
	for _, unit := range utf16.Encode([]rune(`"` + string(plain) + `"`)) {
		wide = binary.LittleEndian.AppendUint16(wide, unit)
	}
	return map[string][]byte{
		"text": plain, "UTF-16": wide[2 : len(wide)-2],
		"base64": []byte(base64.RawStdEncoding.EncodeToString(plain)), "base64 of unicodePwd": []byte(base64.RawStdEncoding.EncodeToString(wide)),
		"hex": []byte(hex.EncodeToString(plain)), "hex of unicodePwd": []byte(hex.EncodeToString(wide)),
	}
}
