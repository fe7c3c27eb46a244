package writeback_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

func TestGUIDUsesTheByteOrderOfActiveDirectory(t *testing.T) {
	// The example of MS-DTYP 2.3.4: the first three fields are stored little-endian.
	guid, err := writeback.ParseGUID("01020304-0506-0708-090a-0b0c0d0e0f10")
	if err != nil {
		t.Fatal(err)
	}
	want := writeback.GUID{4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16}
	if diff := cmp.Diff(want, guid); diff != "" {
		t.Errorf("bytes (-want +got):\n%s", diff)
	}
	if got := guid.String(); got != "01020304-0506-0708-090a-0b0c0d0e0f10" {
		t.Errorf("String = %s", got)
	}
}

func TestParseGUIDRefuses(t *testing.T) {
	for _, s := range []string{"", "x", "{01020304-0506-0708-090a-0b0c0d0e0f10}", "0102030405060708090a0b0c0d0e0f10",
		"01020304-0506-0708-090a-0b0c0d0e0f1g", "01020304-05060-708-090a-0b0c0d0e0f10", "01020304-0506-0708-090a-0b0c0d0e0f10 "} {
		if guid, err := writeback.ParseGUID(s); err == nil {
			t.Errorf("ParseGUID(%q) = %s, want an error", s, guid)
		}
	}
}

func FuzzParseGUID(f *testing.F) {
	f.Add("01020304-0506-0708-090a-0b0c0d0e0f10")
	f.Add("01020304-0506-0708-090A-0B0C0D0E0F10")
	f.Add("--------------------------------0000")
	f.Fuzz(func(t *testing.T, s string) {
		guid, err := writeback.ParseGUID(s)
		if err != nil {
			return
		}
		again, err := writeback.ParseGUID(guid.String())
		if err != nil || again != guid {
			t.Errorf("%q does not survive the round trip: %v", s, err)
		}
	})
}

func TestChangedAtIsCorrectedByTheClockOffset(t *testing.T) {
	ours := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	state := writeback.PasswordState{ReadAt: ours, ControllerTime: ours.Add(40 * time.Second), ChangedAt: ours.Add(30 * time.Second)}
	if got, want := state.ChangedAtLocal(), ours.Add(-10*time.Second); !got.Equal(want) {
		t.Errorf("ChangedAtLocal = %s, want %s", got, want)
	}
	if got := (writeback.PasswordState{ReadAt: ours}).ClockOffset(); got != 0 {
		t.Errorf("ClockOffset with an unknown controller time = %s, want 0", got)
	}
	if !(writeback.PasswordState{ReadAt: ours, ControllerTime: ours}).ChangedAtLocal().IsZero() {
		t.Error("an unknown change time became known")
	}
}

func TestAccountFlags(t *testing.T) {
	account := writeback.Account{UserAccountControl: writeback.UACNormalAccount}
	if account.Disabled() || account.SmartcardRequired() {
		t.Error("a normal account is disabled or needs a smart card")
	}
	account.UserAccountControl |= writeback.UACDisabled | writeback.UACSmartcardRequired
	if !account.Disabled() || !account.SmartcardRequired() {
		t.Error("the flags are not seen")
	}
}

func TestDestroyEmptiesTheSecretsOfARequestAndItsChange(t *testing.T) {
	request := &writeback.Request{Password: secret.NewString("new"), OldPassword: secret.NewString("old")}
	request.Operation = writeback.OpReset
	change := request.Change()
	request.Destroy()
	if !request.Password.Empty() || !request.OldPassword.Empty() || !change.Password.Empty() || !change.OldPassword.Empty() {
		t.Error("a secret outlived Destroy")
	}
}

func TestAnUnlockRequestUnlocksWhateverItsFlagSays(t *testing.T) {
	request := &writeback.Request{Claims: writeback.Claims{Operation: writeback.OpUnlock}}
	if !request.Change().Unlock {
		t.Error("op unlock without effect")
	}
	request.Operation = writeback.OpReset
	if request.Change().Unlock {
		t.Error("a reset unlocks though it was not asked to")
	}
}

func TestOperations(t *testing.T) {
	type traits struct{ Known, SetsPassword, Writes bool }
	for op, want := range map[writeback.Operation]traits{
		writeback.OpReset: {true, true, true}, writeback.OpChange: {true, true, true}, writeback.OpUnlock: {true, false, true},
		writeback.OpCheck: {true, false, false}, writeback.OpPing: {true, false, false}, "delete": {},
	} {
		if diff := cmp.Diff(want, traits{op.Known(), op.SetsPassword(), op.Writes()}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", op, diff)
		}
	}
}
