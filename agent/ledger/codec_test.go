package ledger_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/ledger"
	"github.com/password-writeback/writeback/internal/writeback"
)

// sample is a record with every field set.
func sample(t *testing.T) ledger.Record {
	t.Helper()
	b := newBench(t)
	key := b.unsettled(1)
	b.must(b.MarkProbed(b.Context(), key))
	outcome := written()
	b.must(b.Revise(b.Context(), key, outcome, nil))
	b.must(b.MarkAudited(b.Context(), key))
	return b.get(key)
}

func TestRecordsComeBackWhole(t *testing.T) {
	want := sample(t)
	key, framed, err := ledger.EncodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ledger.DecodeRecord(key, framed)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	key, framed, err := ledger.EncodeRecord(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(framed) * 8 {
		damaged := bytes.Clone(framed)
		damaged[i/8] ^= 1 << (i % 8)
		if _, err := ledger.DecodeRecord(key, damaged); !errors.Is(err, ledger.ErrCorrupt) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
	for n := range framed {
		if _, err := ledger.DecodeRecord(key, framed[:n]); !errors.Is(err, ledger.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := ledger.DecodeRecord(append(bytes.Clone(key), 'x'), framed); !errors.Is(err, ledger.ErrCorrupt) {
		t.Fatalf("under another key: %v", err)
	}
}

// TestDecodingIsStrict spoils the content under a checksum that fits: what the steps cannot produce is not believed.
func TestDecodingIsStrict(t *testing.T) {
	key, framed, err := ledger.EncodeRecord(sample(t))
	if err != nil {
		t.Fatal(err)
	}
	payload := framed[5:]
	for name, spoil := range map[string]func(map[string]any){
		"unknown member":        func(m map[string]any) { m["extra"] = 1 },
		"other key":             func(m map[string]any) { m["id"] = "another" },
		"no digest":             func(m map[string]any) { m["digest"] = "abcd" },
		"state":                 func(m map[string]any) { m["state"] = "lost" },
		"claimed with outcome":  func(m map[string]any) { m["state"] = "claimed" },
		"writing with outcome":  func(m map[string]any) { m["state"] = "writing" },
		"done without outcome":  func(m map[string]any) { delete(m, "outcome") },
		"done without time":     func(m map[string]any) { delete(m, "finished_at") },
		"verdict":               func(m map[string]any) { m["outcome"].(map[string]any)["verdict"] = "perhaps" },
		"reason":                func(m map[string]any) { m["outcome"].(map[string]any)["reason"] = "because" },
		"written but unsettled": func(m map[string]any) { m["settled"] = false },
		"revised to refused":    func(m map[string]any) { m["outcome"].(map[string]any)["verdict"] = "not_written" },
		"probe without intent":  func(m map[string]any) { delete(m, "intent") },
		"intent without GUID":   func(m map[string]any) { m["intent"].(map[string]any)["account"] = "x" },
		"operation":             func(m map[string]any) { m["operation"] = "delete" },
		"never claimed":         func(m map[string]any) { delete(m, "claimed_at") },
		"expires before issue":  func(m map[string]any) { m["expires_at"] = m["issued_at"] },
	} {
		t.Run(name, func(t *testing.T) {
			var members map[string]any
			if err := json.Unmarshal(payload, &members); err != nil {
				t.Fatal(err)
			}
			spoil(members)
			spoilt, err := json.Marshal(members)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ledger.DecodeRecord(key, ledger.Frame(key, spoilt)); !errors.Is(err, ledger.ErrCorrupt) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
	if _, err := ledger.DecodeRecord(key, ledger.Frame(key, payload)); err != nil {
		t.Errorf("unspoilt: %v", err)
	}
}

func FuzzDecodeRecord(f *testing.F) {
	claimed := ledger.Record{
		Key: writeback.RequestKey{Issuer: "a", ID: "b"}, Operation: writeback.OpReset,
		IssuedAt: start, ExpiresAt: start.Add(1), ClaimedAt: start, State: ledger.StateClaimed,
	}
	key, framed, err := ledger.EncodeRecord(claimed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key, framed[5:], true)
	f.Add(key, framed, false)
	f.Add(key, []byte(`{"state":"done","outcome":{"verdict":"written","reason":"ok"}}`), true)
	f.Add(key, []byte(`{"intent":{"account":"00000000-0000-0000-0000-000000000000"}}`), true)
	f.Add([]byte{}, []byte{1, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, key, payload []byte, frame bool) {
		if frame {
			payload = ledger.Frame(key, payload)
		}
		r, err := ledger.DecodeRecord(key, payload)
		if err != nil {
			if !errors.Is(err, ledger.ErrCorrupt) {
				t.Fatalf("error %v is not ErrCorrupt", err)
			}
			return
		}
		again, framed, err := ledger.EncodeRecord(r)
		if err != nil {
			t.Fatalf("decoded, but not encoded: %v", err)
		}
		back, err := ledger.DecodeRecord(again, framed)
		if err != nil || !cmp.Equal(r, back) {
			t.Fatalf("%+v became %+v, %v", r, back, err)
		}
	})
}
