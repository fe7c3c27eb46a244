package audit_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/audit"
)

func TestTheLastEntriesAreRead(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "audit")
	if entries, err := audit.LastEntries(t.Context(), directory, 3); err != nil || len(entries) != 0 {
		t.Errorf("no log: %v, %v", entries, err)
	}
	log, err := audit.Open(t.Context(), audit.Options{Dir: directory, MaxFileBytes: 1}) // one line in each file
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i := range 3 {
		if err := log.Append(t.Context(), audit.Event{Kind: audit.KindStart, Note: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	notes := func(most int) []string {
		entries, err := audit.LastEntries(t.Context(), directory, most)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, entry := range entries {
			all = append(all, entry.Note)
		}
		return all
	}
	if diff := cmp.Diff([]string{"1", "2"}, notes(9)); diff != "" {
		t.Errorf("of two files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"2"}, notes(1)); diff != "" {
		t.Errorf("of one line (-want +got):\n%s", diff)
	}
}

func TestTheLastEntriesOfOneLongFile(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "audit")
	log, err := audit.Open(t.Context(), audit.Options{Dir: directory})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for i := range 25 {
		if err := log.Append(t.Context(), audit.Event{Kind: audit.KindStart, Note: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := audit.LastEntries(t.Context(), directory, 4)
	if err != nil || len(entries) != 4 || entries[0].Note != "21" || entries[3].Note != "24" {
		t.Errorf("%v, %v", entries, err)
	}
}
