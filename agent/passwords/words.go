package passwords

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of a list of words. A word's length is in characters.
const (
	MinWord      = 4 // shorter ones are parts of too many good passwords
	maxWord      = 64
	maxWords     = 100_000
	maxWordsFile = 8 << 20
)

// passingScore is what a password with banned words in it must reach.
const passingScore = 5

// Words are words that make a password weak. The rule is the one that Microsoft documents for Entra Password Protection ("How are passwords
// evaluated", learn.microsoft.com/entra/identity/authentication/concept-password-ban-bad): passwords and words are normalized; a word is found also
// with one character in it more, less or different; each word found counts one point, each other character one point, and fewer than five are too few.
// Where words overlap, the reading with the fewest points counts. A password without any of the words is not judged by its length.
type Words struct {
	all    [][]byte
	byHead map[string][]int // first half of a word -> words
	byTail map[string][]int // the rest of it -> words
	heads  []int            // lengths of first halves, in characters
	tails  []int
}

// ReadWords reads a list: UTF-8 text, one word per line, surrounding space removed; empty lines and those that begin with # do not count. The error names
// the line.
func ReadWords(r io.Reader) (*Words, error) {
	w := &Words{byHead: map[string][]int{}, byTail: map[string][]int{}}
	lines := bufio.NewScanner(io.LimitReader(r, maxWordsFile+1))
	known := map[string]bool{}
	size, number := 0, 0
	for lines.Scan() {
		number++
		if size += len(lines.Bytes()) + 1; size > maxWordsFile {
			return nil, fmt.Errorf("more than %d MiB", maxWordsFile>>20)
		}
		word, err := wordOf(lines.Text(), number)
		if err != nil {
			return nil, err
		}
		if word != nil && !known[string(word)] {
			known[string(word)] = true
			w.add(word)
		}
		if len(w.all) > maxWords {
			return nil, fmt.Errorf("more than %d words", maxWords)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is too long", number+1)
	}
	return w, lines.Err()
}

// wordOf returns the normalized word of a line; nil: it has none.
func wordOf(line string, number int) ([]byte, error) {
	if number == 1 {
		line = strings.TrimPrefix(line, "\ufeff") // the mark that Windows' editors put before UTF-8
	}
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return nil, nil
	}
	if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
		return nil, fmt.Errorf("line %d is not UTF-8 text", number)
	}
	if n := utf8.RuneCountInString(line); n < MinWord || n > maxWord {
		return nil, fmt.Errorf("line %d: a word has %d to %d characters", number, MinWord, maxWord)
	}
	return normalize([]byte(line)), nil
}

func (w *Words) add(word []byte) {
	half := offsets(word)[utf8.RuneCount(word)/2]
	index := len(w.all)
	w.all = append(w.all, word)
	w.byHead[string(word[:half])] = append(w.byHead[string(word[:half])], index)
	w.byTail[string(word[half:])] = append(w.byTail[string(word[half:])], index)
	w.heads = insert(w.heads, utf8.RuneCount(word[:half]))
	w.tails = insert(w.tails, utf8.RuneCount(word[half:]))
}

func insert(lengths []int, length int) []int {
	for _, known := range lengths {
		if known == length {
			return lengths
		}
	}
	return append(lengths, length)
}

// Len returns the number of different words.
func (w *Words) Len() int { return len(w.all) }

// Weak reports whether the password is made of too little beside the words. It keeps nothing of it.
func (w *Words) Weak(plain []byte) bool {
	if len(w.all) == 0 {
		return false
	}
	text := normalize(plain)
	defer clear(text)
	at := offsets(text)
	found := w.find(text, at)
	return len(found) > 0 && score(found, len(at)-1) < passingScore
}

// span is a part of a password, in characters.
type span struct{ from, to int }

// score is the least number of points: best[i] is that of the first i characters.
func score(found map[span]bool, length int) int {
	begins := make([][]int, length+1) // of the words that end there
	for s := range found {
		begins[s.to] = append(begins[s.to], s.from)
	}
	best := make([]int, length+1)
	for i := 1; i <= length; i++ {
		best[i] = best[i-1] + 1
		for _, from := range begins[i] {
			best[i] = min(best[i], best[from]+1)
		}
	}
	return best[length]
}

// find returns where words are. Where a word is with at most one character changed, one of its halves is unchanged: so the halves are looked up, and only
// the words that have them compared.
func (w *Words) find(plain []byte, at []int) map[span]bool {
	found := map[span]bool{}
	for from := range at {
		for _, length := range w.heads {
			if to := from + length; to < len(at) {
				for _, index := range w.byHead[string(plain[at[from]:at[to]])] {
					after(w.all[index][at[to]-at[from]:], plain, at, from, to, found)
				}
			}
		}
		for _, length := range w.tails {
			if to := from + length; to < len(at) {
				tail := plain[at[from]:at[to]]
				for _, index := range w.byTail[string(tail)] {
					word := w.all[index]
					before(word[:len(word)-len(tail)], plain, at, from, to, found)
				}
			}
		}
	}
	return found
}

// after notes every span from from whose part behind half is the word's rest, nearly.
func after(rest, plain []byte, at []int, from, half int, found map[span]bool) {
	length := utf8.RuneCount(rest)
	for to := half + length - 1; to <= half+length+1 && to < len(at); to++ {
		part := plain[at[half]:at[to]]
		if to > half+length && lastOf(part) != lastOf(rest) {
			continue // what stands beside the word counts by itself
		}
		if nearly(rest, part) {
			found[span{from, to}] = true
		}
	}
}

// before notes every span up to to whose part before half is the word's beginning, nearly.
func before(beginning, plain []byte, at []int, half, to int, found map[span]bool) {
	length := utf8.RuneCount(beginning)
	for from := max(0, half-length-1); from <= half-length+1; from++ {
		part := plain[at[from]:at[half]]
		if half-from > length && firstOf(part) != firstOf(beginning) {
			continue
		}
		if nearly(beginning, part) {
			found[span{from, to}] = true
		}
	}
}

func firstOf(text []byte) rune { r, _ := utf8.DecodeRune(text); return r }
func lastOf(text []byte) rune  { r, _ := utf8.DecodeLastRune(text); return r }

// nearly reports whether one text becomes the other by changing, adding or leaving out one character at most.
func nearly(a, b []byte) bool {
	for len(a) > 0 && len(b) > 0 {
		left, size := utf8.DecodeRune(a)
		right, other := utf8.DecodeRune(b)
		if left != right {
			break
		}
		a, b = a[size:], b[other:]
	}
	for len(a) > 0 && len(b) > 0 {
		left, size := utf8.DecodeLastRune(a)
		right, other := utf8.DecodeLastRune(b)
		if left != right {
			break
		}
		a, b = a[:len(a)-size], b[:len(b)-other]
	}
	return utf8.RuneCount(a) <= 1 && utf8.RuneCount(b) <= 1
}

// offsets returns where each character begins, and the end.
func offsets(text []byte) []int {
	at := make([]int, 0, len(text)+1)
	for i := 0; i < len(text); {
		at = append(at, i)
		_, size := utf8.DecodeRune(text[i:])
		i += size
	}
	return append(at, len(text))
}

// normalize returns a copy in which what people take for variety is the same: capitals and small letters, and figures and signs that stand for letters. It
// never grows beyond its first size, so that it can be zeroed.
func normalize(text []byte) []byte {
	plain := make([]byte, 0, len(text)*utf8.UTFMax)
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		plain = utf8.AppendRune(plain, plainLetter(r))
		text = text[size:]
	}
	return plain
}

// plainLetter: 1 stands for l and for i, so these three are one.
func plainLetter(r rune) rune {
	switch r = unicode.ToLower(unicode.ToUpper(r)); r {
	case '0':
		return 'o'
	case '1', '!', '|', 'l':
		return 'i'
	case '3', '€':
		return 'e'
	case '4', '@':
		return 'a'
	case '5', '$':
		return 's'
	case '7':
		return 't'
	}
	return r
}
