package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/store"
)

// loaded is what was read of one file.
type loaded struct {
	Definition string
	Records    []string
	refuse     string
}

func (l *loaded) Define(b []byte) error {
	l.Definition = string(b)
	return nil
}

func (l *loaded) Record(b []byte) error {
	if l.refuse != "" && string(b) == l.refuse {
		return errors.New("not a record")
	}
	l.Records = append(l.Records, string(b))
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, path string) *store.Directory {
	t.Helper()
	d, err := store.Open(path, false)
	must(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// load reads a directory; the files are closed again at the end of the test.
func load(t testing.TB, d *store.Directory) ([]*loaded, []*store.File, error) {
	t.Helper()
	var all []*loaded
	var files []*store.File
	err := d.Load(func() store.Loader { return &loaded{} }, func(l store.Loader, f *store.File) error {
		all, files = append(all, l.(*loaded)), append(files, f)
		t.Cleanup(func() { f.Close() })
		return nil
	})
	return all, files, err
}

// make makes a directory with one file "q" of a definition and records, and returns the path of both.
func prepare(t testing.TB, records ...string) (dir, file string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "made", "by-open")
	d := open(t, dir)
	f, err := d.Create("q", []byte("definition"))
	must(t, err)
	for _, r := range records {
		must(t, f.Append([]byte(r)))
	}
	must(t, f.Close())
	must(t, d.Close())
	return dir, filepath.Join(dir, "q.queue")
}

func wantLoaded(t testing.TB, dir string, want ...*loaded) []*store.File {
	t.Helper()
	got, files, err := load(t, open(t, dir))
	must(t, err)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(loaded{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	return files
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	dir, _ := prepare(t, "one", "", strings.Repeat("x", 1<<20))
	files := wantLoaded(t, dir, &loaded{Definition: "definition", Records: []string{"one", "", strings.Repeat("x", 1<<20)}})
	must(t, files[0].Append([]byte("more")))
	must(t, files[0].Define([]byte("changed")))
	must(t, files[0].Append([]byte("end")))
	must(t, files[0].Close())
}

func TestAppendingGoesOn(t *testing.T) {
	dir, _ := prepare(t, "one")
	d := open(t, dir)
	_, files, err := load(t, d)
	must(t, err)
	must(t, files[0].Define([]byte("changed")))
	must(t, files[0].Append([]byte("two")))
	must(t, files[0].Close())
	must(t, d.Close())
	wantLoaded(t, dir, &loaded{Definition: "changed", Records: []string{"one", "two"}})
}

// Wherever a write is cut short, what was complete before it is there, and appending goes on from there.
func TestTornTail(t *testing.T) {
	dir, file := prepare(t, "one", "two")
	whole, err := os.ReadFile(file)
	must(t, err)
	const frame = 8 + 1 + len("one")
	for cut := len(whole) - 1; cut >= 0; cut-- {
		must(t, os.WriteFile(file, whole[:cut], 0o600))
		d := open(t, dir)
		got, files, err := load(t, d)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		complete := max(0, cut-(len(whole)-2*frame)) / frame
		if cut < len(whole)-2*frame { // not even the definition
			if len(got) != 0 {
				t.Fatalf("cut at %d: %+v", cut, got[0])
			}
			if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
				t.Fatalf("cut at %d: a file without a definition stays: %v", cut, err)
			}
			must(t, d.Close())
			continue
		}
		if diff := cmp.Diff([]string{"one", "two"}[:complete], append([]string{}, got[0].Records...)); diff != "" {
			t.Fatalf("cut at %d (-want +got):\n%s", cut, diff)
		}
		must(t, files[0].Append([]byte("next")))
		must(t, files[0].Close())
		must(t, d.Close())
		d = open(t, dir)
		if got, _, err := load(t, d); err != nil || got[0].Records[complete] != "next" {
			t.Fatalf("cut at %d, then appended: %v %v", cut, got, err)
		}
		must(t, d.Close())
	}
}

// Parts of the last write may be missing although the file has its length.
func TestTornInside(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"a wrong byte at the end":   func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"zeroes in the last frame":  func(b []byte) []byte { clear(b[len(b)-4:]); return b },
		"zeroes for the last frame": func(b []byte) []byte { clear(b[len(b)-12:]); return b },
		"a long tail of zeroes":     func(b []byte) []byte { return append(b[:len(b)-12], make([]byte, 100_000)...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := prepare(t, "one", "two")
			b, err := os.ReadFile(file)
			must(t, err)
			must(t, os.WriteFile(file, spoil(b), 0o600))
			wantLoaded(t, dir, &loaded{Definition: "definition", Records: []string{"one"}})
		})
	}
}

// What is wrong in another way was not torn: opening fails and touches nothing.
func TestDamage(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"another format":            func(b []byte) []byte { b[7]++; return b },
		"no format":                 func([]byte) []byte { return []byte("hello") },
		"a wrong byte inside":       func(b []byte) []byte { b[len(b)-13] ^= 1; return b },
		"a wrong checksum inside":   func(b []byte) []byte { b[len(b)-17] ^= 1; return b },
		"an empty frame":            func(b []byte) []byte { return append(b, 0, 0, 0, 0, 1, 2, 3, 4) },
		"zeroes and then something": func(b []byte) []byte { return append(append(b, make([]byte, 70_000)...), 1) },
		"another kind of frame": func(b []byte) []byte {
			b = binary.BigEndian.AppendUint32(b, 1)
			return append(binary.BigEndian.AppendUint32(b, crc32.Checksum([]byte("Z"), crc32.MakeTable(crc32.Castagnoli))), 'Z')
		},
		"a record before all": func(b []byte) []byte { return append(b[:8:8], b[len(b)-12:]...) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, file := prepare(t, "one", "two")
			b, err := os.ReadFile(file)
			must(t, err)
			b = spoil(b)
			must(t, os.WriteFile(file, b, 0o600))
			_, _, err = load(t, open(t, dir))
			if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "q.queue") {
				t.Errorf("error %v", err)
			}
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, b) {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
}

// A record that its owner cannot read is damage as well.
func TestRefusedRecord(t *testing.T) {
	dir, _ := prepare(t, "one", "two")
	err := open(t, dir).Load(func() store.Loader { return &loaded{refuse: "two"} }, func(store.Loader, *store.File) error {
		t.Error("opened")
		return nil
	})
	if !errors.Is(err, store.ErrDamaged) || !strings.Contains(err.Error(), "not a record") {
		t.Errorf("error %v", err)
	}
}

func TestCompact(t *testing.T) {
	dir, file := prepare(t, slices.Repeat([]string{"old"}, 100)...)
	before, err := os.Stat(file)
	must(t, err)
	d := open(t, dir)
	_, files, err := load(t, d)
	must(t, err)
	broken := errors.New("broken")
	if err := files[0].Compact([]byte("lost"), func(write func([]byte) error) error {
		return errors.Join(write([]byte("lost")), broken)
	}); !errors.Is(err, broken) {
		t.Errorf("a compaction that fails: %v", err)
	}
	must(t, files[0].Append([]byte("kept")))
	must(t, files[0].Compact([]byte("new"), func(write func([]byte) error) error { return write([]byte("all")) }))
	must(t, files[0].Append([]byte("after")))
	must(t, files[0].Close())
	must(t, d.Close())
	if after, err := os.Stat(file); err != nil || after.Size() >= before.Size() {
		t.Errorf("%d bytes, %d before, %v", after.Size(), before.Size(), err)
	}
	wantLoaded(t, dir, &loaded{Definition: "new", Records: []string{"all", "after"}})
}

// A compaction that was cut short leaves the old file, and its remains are swept.
func TestCutCompaction(t *testing.T) {
	dir, file := prepare(t, "one")
	must(t, os.WriteFile(file+".new", []byte("half"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("somebody's"), 0o600))
	wantLoaded(t, dir, &loaded{Definition: "definition", Records: []string{"one"}})
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if len(left) != 3 { // the file, the lock and what is not ours
		t.Errorf("left: %v", left)
	}
}

func TestRemove(t *testing.T) {
	dir, _ := prepare(t, "one")
	_, files, err := load(t, open(t, dir))
	must(t, err)
	must(t, files[0].Remove())
	for what, err := range map[string]error{
		"append": files[0].Append([]byte("x")), "define": files[0].Define(nil), "compact": files[0].Compact(nil, nil),
	} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("%s after that: %v", what, err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir, _ := prepare(t)
	d := open(t, dir)
	if _, err := store.Open(dir, false); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second one: %v", err)
	}
	must(t, d.Close())
	must(t, open(t, dir).Close())
}

// Names that would be paths, are too long for files, or differ in case only.
func TestNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	d, err := store.Open(dir, true)
	must(t, err)
	defer d.Close()
	names := []string{"a/b", "../up", ".", "a", strings.Repeat("long/", 60), strings.Repeat("long/", 61), "ü?*"}
	for _, name := range names {
		f, err := d.Create(name, []byte(name))
		must(t, err)
		must(t, f.Append([]byte("to the disk")))
		must(t, f.Close())
	}
	if _, err := d.Create("A/B", nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("the same in another case: %v", err)
	}
	got, _, err := load(t, d)
	must(t, err)
	var back []string
	for _, l := range got {
		back = append(back, l.Definition)
	}
	slices.Sort(back)
	slices.Sort(names)
	if diff := cmp.Diff(names, back); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if up, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "*")); len(up) != 1 {
		t.Errorf("outside of the directory: %v %v", up, err)
	}
}

// FuzzFile: no content of a file makes opening panic or take memory beyond the file's size, and what was read once is
// read again.
func FuzzFile(f *testing.F) {
	_, file := prepare(f, "one", "two")
	whole, err := os.ReadFile(file)
	must(f, err)
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add(append(whole[:len(whole):len(whole)], make([]byte, 9)...))
	f.Add(binary.BigEndian.AppendUint32(whole[:len(whole):len(whole)], 0xffffffff))
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "q.queue"), content, 0o600))
		d := open(t, dir)
		first, files, err := load(t, d)
		if err != nil {
			if !errors.Is(err, store.ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		for _, file := range files {
			must(t, file.Close())
		}
		must(t, d.Close())
		wantLoaded(t, dir, first...)
	})
}
