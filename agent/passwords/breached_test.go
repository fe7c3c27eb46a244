package passwords_test

import (
	"crypto/sha1" //nolint:gosec // the lists' form
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/passwords"
)

func hashOf(password string) string {
	return fmt.Sprintf("%X", sha1.Sum([]byte(password))) //nolint:gosec // the lists' form
}

// known are the passwords of a list, and absent ones that are not in it.
func known(n int) (in, absent []string) {
	for i := range n {
		in, absent = append(in, fmt.Sprintf("known-%d", i)), append(absent, fmt.Sprintf("absent-%d", i))
	}
	return in, absent
}

// list makes the lines of a list, with counts of different length.
func list(ends string, in ...string) string {
	var lines []string
	for i, password := range in {
		lines = append(lines, fmt.Sprintf("%s:%d%s", hashOf(password), 1+i*i*i, ends))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

func put(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func contains(t *testing.T, b *passwords.Breached, password string) bool {
	t.Helper()
	found, err := b.Contains([]byte(password))
	if err != nil {
		t.Fatalf("%s: %v", password, err)
	}
	return found
}

// TestASortedFileIsSearched finds every line of files of many sizes, around those of what is read at once, and nothing else.
func TestASortedFileIsSearched(t *testing.T) {
	for _, n := range []int{1, 2, 3, 60, 95, 96, 97, 200, 5000} {
		in, absent := known(n)
		for name, content := range map[string]string{
			"LF": list("\n", in...), "CRLF": list("\r\n", in...), "no last end": strings.TrimSuffix(list("\n", in...), "\n"),
			"lower case": strings.ToLower(list("\n", in...)),
		} {
			b, err := passwords.OpenBreached(put(t, content))
			if err != nil {
				t.Fatalf("%d, %s: %v", n, name, err)
			}
			for i := range in {
				if !contains(t, b, in[i]) || contains(t, b, absent[i]) {
					t.Fatalf("%d, %s: %s is not found, or %s is", n, name, in[i], absent[i])
				}
			}
		}
	}
}

func TestPaddingIsNoBreach(t *testing.T) {
	in, _ := known(2000)
	b, err := passwords.OpenBreached(put(t, regexp.MustCompile(`:\d+`).ReplaceAllString(list("\n", in...), ":0")))
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range in {
		if contains(t, b, password) {
			t.Fatalf("%s is found", password)
		}
	}
}

func TestRangesAreSearched(t *testing.T) {
	for _, ending := range []string{".txt", ""} {
		in, absent := known(50)
		dir := ranges(t, ending, in...)
		b, err := passwords.OpenBreached(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range in {
			if !contains(t, b, in[i]) {
				t.Errorf("%s is not found", in[i])
			}
		}
		if _, err := b.Contains([]byte(absent[0])); err == nil { // its range has no file
			t.Error("a range without a file has been searched")
		}
		// Others of a range that has one.
		check(t, os.WriteFile(filepath.Join(dir, hashOf(absent[1])[:5]+ending), []byte(strings.Repeat("0", 35)+":3\r\n"), 0o600))
		if contains(t, b, absent[1]) {
			t.Errorf("%s is found", absent[1])
		}
		check(t, os.WriteFile(filepath.Join(dir, hashOf(absent[2])[:5]+ending), []byte("<html>not found</html>\n"), 0o600))
		if _, err := b.Contains([]byte(absent[2])); err == nil {
			t.Error("a file that is no list has been searched")
		}
	}
}

// ranges makes a folder of range files: those of the passwords, and those that are looked at first.
func ranges(t *testing.T, ending string, in ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := range 16 {
		check(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05X%s", i*0xFFFFF/15, ending)), []byte(strings.Repeat("A", 35)+":1\r\n"), 0o600))
	}
	for _, password := range in {
		hash := hashOf(password)
		check(t, os.WriteFile(filepath.Join(dir, hash[:5]+ending), []byte("0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n"+hash[5:]+":42\r\n"), 0o600))
	}
	return dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoListIsRefused(t *testing.T) {
	in, _ := known(2000)
	lines := slices.Collect(strings.Lines(list("\n", in...)))
	swapped := slices.Clone(lines)
	slices.Reverse(swapped[500:])
	ntlm := strings.ReplaceAll(list("\n", in...), ":", "")
	for name, content := range map[string]string{
		"empty": "", "text": "hello\n", "NTLM hashes": ntlm[:32*100], "no counts": hashOf("x") + "\n", "half a line": strings.Join(lines, "")[:5000],
		"by count": strings.Join(swapped, ""), "twice": lines[0] + lines[0], "binary": strings.Repeat("\x00", 100_000),
		"one endless line": strings.Repeat("A", 100_000), "negative": hashOf("x") + ":-1\n", "no number": hashOf("x") + ":one\n",
		"a broken end": strings.Join(lines, "") + "x",
	} {
		if _, err := passwords.OpenBreached(put(t, content)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := passwords.OpenBreached(t.TempDir()); err == nil {
		t.Error("an empty folder is accepted")
	}
	if _, err := passwords.OpenBreached(filepath.Join(t.TempDir(), "none")); err == nil || strings.Contains(err.Error(), "none") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestAFileOutOfOrderIsRefused has one place out of order, between or within the places that are looked at.
func TestAFileOutOfOrderIsRefused(t *testing.T) {
	many, _ := known(20_000)
	lines := slices.Collect(strings.Lines(list("\n", many...)))
	for turn := 9_800; turn < 10_200; turn += 50 {
		if _, err := passwords.OpenBreached(put(t, strings.Join(lines[turn:], "")+strings.Join(lines[:turn], ""))); err == nil {
			t.Errorf("accepted, turned at line %d", turn)
		}
	}
}

// FuzzBreached: whatever a file holds, nothing is found in it that a plain look at its lines does not find, and an accepted file is searched without an end.
func FuzzBreached(f *testing.F) {
	in, _ := known(300)
	f.Add([]byte(list("\n", in...)), "known-7")
	f.Add([]byte(list("\r\n", in[:3]...)), "known-2")
	f.Add([]byte(strings.Repeat("F", 200)), "x")
	f.Add([]byte(strings.Repeat("\n", passwords.Window+1)), "")
	f.Fuzz(func(t *testing.T, content []byte, password string) {
		path := put(t, string(content))
		b, err := passwords.OpenBreached(path)
		if err != nil {
			return
		}
		found, err := b.Contains([]byte(password))
		if err == nil && found && !strings.Contains(strings.ToUpper(string(content)), hashOf(password)+":") {
			t.Error("found what is not there")
		}
	})
}
