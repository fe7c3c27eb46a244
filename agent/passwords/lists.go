package passwords

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// Words for writeback.Detail.Hint.
const (
	HintBreached = "breached"           // password.banned: it is known from a data breach
	HintList     = "breached_passwords" // agent.misconfigured: the list of breached passwords cannot be read
)

// Fields of the configuration, in the errors of [Open].
const (
	FieldWords    = "policy.banned_words_file"
	FieldBreached = "policy.breached_passwords_file"
)

// Lists are the administrator's lists. They are safe for concurrent use.
type Lists struct {
	mu       sync.Mutex // of what is below; a judgement holds it, for the search is short
	words    watched[*Words]
	breached watched[*Breached]
}

// watched is a list that is made anew when its file changes.
type watched[T any] struct {
	path string // empty: there is none
	open func(path string) (T, error)
	seen version
	list T
	good bool  // list can be used
	err  error // the last look failed
}

// version tells contents apart by what a folder says of a file.
type version struct {
	modified time.Time
	size     int64
	info     fs.FileInfo
}

func versionOf(path string) (version, error) {
	info, err := os.Stat(path)
	if err != nil {
		return version{}, plainly(err)
	}
	return version{info.ModTime(), info.Size(), info}, nil
}

func (v version) same(other version) bool {
	return v.info != nil && v.size == other.size && v.modified.Equal(other.modified) && os.SameFile(v.info, other.info)
}

// Open reads the lists; an empty path means none. fault learns of each that cannot be used, with the field that names it.
func Open(wordsFile, breachedFile string, fault func(field string, err error)) *Lists {
	l := &Lists{
		words:    watched[*Words]{path: wordsFile, open: readWordsFile},
		breached: watched[*Breached]{path: breachedFile, open: OpenBreached},
	}
	l.words.look()
	l.breached.look()
	if l.words.err != nil {
		fault(FieldWords, misconfigured(l.words.err, "Write one word of 4 to 64 characters per line, as UTF-8 text."))
	}
	if l.breached.err != nil {
		fault(FieldBreached, misconfigured(l.breached.err, remedyBreached))
	}
	return l
}

const remedyBreached = "Download the SHA-1 list of Have I Been Pwned anew (haveibeenpwned-downloader), sorted by hash, and let the agent's account read it."

func misconfigured(cause error, remedy string) *writeback.Error {
	return &writeback.Error{Reason: writeback.AgentMisconfigured, Hint: remedy, Cause: cause}
}

func readWordsFile(path string) (*Words, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plainly(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, plainly(err)
	}
	words, err := ReadWords(file)
	return words, errors.Join(err, file.Close())
}

// look reads the list where its file is another than before, or could not be used. What was seen is noted before it is read: a file that changes meanwhile
// is read again the next time.
func (w *watched[T]) look() {
	if w.path == "" {
		return
	}
	seen, err := versionOf(w.path)
	if err == nil && w.err == nil && w.seen.same(seen) {
		return
	}
	w.seen = seen
	var list T
	if err == nil {
		list, err = w.open(w.path)
	}
	if w.err = err; err == nil {
		w.list, w.good = list, true
	}
}

// Check judges a password. Reasons: password.banned, with [HintBreached] where it is known from a breach; agent.misconfigured with [HintList] where the list of
// breached passwords cannot be searched.
func (l *Lists) Check(_ context.Context, password secret.Value) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	var err error
	password.Use(func(plain []byte) { err = l.judge(plain) })
	return err
}

func (l *Lists) refresh() {
	l.words.look()
	l.breached.look()
}

func (l *Lists) judge(plain []byte) error {
	if l.words.good && l.words.list.Weak(plain) {
		return writeback.NewError(writeback.PasswordBanned, errors.New("the password is made of too little beside banned words"))
	}
	if l.breached.path == "" {
		return nil
	}
	found, err := false, l.breached.err
	if err == nil {
		found, err = l.breached.list.Contains(plain)
	}
	if err != nil {
		failed := misconfigured(fmt.Errorf("%s: %w", FieldBreached, err), remedyBreached)
		failed.Detail.Hint = HintList
		return failed
	}
	if found {
		return &writeback.Error{
			Reason: writeback.PasswordBanned, Detail: writeback.Detail{Hint: HintBreached},
			Cause: errors.New("the password is known from a data breach"),
		}
	}
	return nil
}

// Describe says in words which lists are in use; empty: none is.
func (l *Lists) Describe() (words, breached string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.words.good {
		words = fmt.Sprintf("banned words: %d", l.words.list.Len())
	}
	if l.breached.good {
		breached = "breached passwords: a file"
		if l.breached.list.folder {
			breached = "breached passwords: a folder of ranges"
		}
	}
	return words, breached
}

// Problem looks at the files, and returns what is wrong with them; nil: nothing. The fields' names are in it.
func (l *Lists) Problem() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refresh()
	var problems []error
	if l.words.err != nil {
		problems = append(problems, fmt.Errorf("%s: %w; the list read before stays in use", FieldWords, l.words.err))
	}
	if l.breached.err != nil {
		problems = append(problems, fmt.Errorf("%s: %w; no password is set", FieldBreached, l.breached.err))
	}
	return errors.Join(problems...)
}
