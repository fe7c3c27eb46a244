package passwords_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/password-writeback/writeback/agent/passwords"
)

func words(t *testing.T, list ...string) *passwords.Words {
	t.Helper()
	w, err := passwords.ReadWords(strings.NewReader(strings.Join(list, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// TestWeak begins with the examples of Microsoft's documentation of the rule.
func TestWeak(t *testing.T) {
	w := words(t, "contoso", "blank", "abcdef", "Bär-Straße", "illicit", "long-word-in-the-list")
	for password, weak := range map[string]bool{
		"C0ntos0Blank12":                     true,  // contoso, blank, 1, 2: four
		"ContoS0Bl@nkf9!":                    false, // contoso, blank, f, 9, !: five
		"abcdeg":                             true,  // changed
		"abcdefg":                            true,  // added: one word, or a word and a character
		"abcde":                              true,  // left out
		"abXcdef":                            true,  // added in between
		"abcd":                               false, // two left out; how short it is, is for the directory to say
		"aXcdYf":                             false, // two changed
		"abcdef-x9Q2":                        false, // five more
		"abcdefx9Q2":                         false, // four more: five points
		"abcdefx9Q":                          true,
		"f9#kContoso":                        false, // what stands before a word counts too
		"cntoso":                             true,
		"ontoso12":                           true,
		"Contoso":                            true,
		"c0nt0$0":                            true,
		"xContosox":                          true,
		"contosocontoso":                     true,
		"contosocontosocontosocontoso":       true,
		"contosocontosocontosocontosoblank1": false,
		"BÄR-STRASSE":                        false, // ß is another character than SS, and far from one mistake
		"bÄr-5tra0e":                         true,
		"1LL!C|T":                            true,
		"L0ng-W0rd-1n-7he-L|s7":              true,
		"":                                   false,
		"Kq9-zV!t":                           false,
		"\xff\xfe\xfd":                       false,
	} {
		if got := w.Weak([]byte(password)); got != weak {
			t.Errorf("%q: weak %t, want %t", password, got, weak)
		}
	}
	if words(t, "# contoso", "", "   ").Weak([]byte("contoso")) {
		t.Error("a comment counts")
	}
}

func TestReadWords(t *testing.T) {
	w := words(t, "\ufeffcontoso\r", "  blank  ", "CONT0SO", "#x", "   ", "pass word")
	if w.Len() != 3 {
		t.Errorf("%d words, want 3", w.Len())
	}
	for name, c := range map[string]struct{ list, says string }{
		"short":      {"contoso\nabc\n", "line 2"},
		"long":       {strings.Repeat("a", 65), "line 1"},
		"not UTF-8":  {"contoso\n\xff\xfe\xfd\xfc\n", "line 2"},
		"UTF-16":     {"c\x00o\x00n\x00t\x00o\x00", "line 1"},
		"one line":   {strings.Repeat("a", 1<<17), "line 1"},
		"too many":   {manyWords(100_001), "100000"},
		"too large":  {strings.Repeat("#"+strings.Repeat("x", 1<<10)+"\n", 9<<10), "8 MiB"},
		"after that": {"# comment\n\nab", "line 3"},
	} {
		if _, err := passwords.ReadWords(strings.NewReader(c.list)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, c.says)
		}
	}
}

func manyWords(n int) string {
	var b strings.Builder
	for i := range n {
		for figure := 100_000; figure > 0; figure /= 10 {
			b.WriteByte("bcfghjkmnp"[i/figure%10])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// FuzzWeak compares with a plain reading of the rule: every part of the password against every word.
func FuzzWeak(f *testing.F) {
	for _, seed := range [][2]string{
		{"contoso\nblank", "ContoS0Bl@nkf9!"}, {"abcd\nabcde", "xabcdabcdeabc"}, {"aaaa", "aaaaaaaaaaaaaaaaaaaa"},
		{"straße", "STRASSE"}, {"abab\nbaba\nababa", "abababababab1"}, {"\u00e4\u00f6\u00fc\u00df", "\u00c4\u00d6\u00dc"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, list, password string) {
		w, err := passwords.ReadWords(strings.NewReader(list))
		if err != nil || len(password) > 40 || len(list) > 200 {
			return
		}
		plain := []byte(password)
		got := w.Weak(plain)
		if !bytes.Equal(plain, []byte(password)) {
			t.Fatal("the password was changed")
		}
		if want := weakByHand(list, password); got != want {
			t.Errorf("%q among %q: weak %t, want %t", password, list, got, want)
		}
	})
}

func weakByHand(list, password string) bool {
	text := passwords.Normalize(password)
	best := make([]int, len(text)+1)
	found := false
	for to := 1; to <= len(text); to++ {
		best[to] = best[to-1] + 1
		for from := range to {
			for line := range strings.Lines(list) {
				line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
				if line == "" || line[0] == '#' {
					continue
				}
				word, part := passwords.Normalize(line), text[from:to]
				beside := len(part) > len(word) && (part[0] != word[0] || part[len(part)-1] != word[len(word)-1])
				if !beside && distance(word, part) <= 1 {
					found = true
					best[to] = min(best[to], best[from]+1)
				}
			}
		}
	}
	return found && best[len(text)] < 5
}

// distance is Levenshtein's.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, left := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, right := range b {
			cost := 1
			if left == right {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

func TestNormalizeKeepsItsSize(t *testing.T) {
	for _, text := range []string{"ÀÉß", "\xff\xff", "İ", "K", "😀"} {
		if got := passwords.Normalize(text); len(got) != utf8.RuneCountInString(text) {
			t.Errorf("%q became %q", text, string(got))
		}
	}
}
