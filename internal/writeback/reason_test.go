package writeback_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
)

// declaredReasons reads the Reason constants from the source, so that a new one cannot be forgotten in the table.
func declaredReasons(t *testing.T) []writeback.Reason {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var reasons []writeback.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Reason" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, writeback.Reason(text))
		}
		return true
	})
	return reasons
}

func TestEveryReasonHasExactlyOneCompleteRow(t *testing.T) {
	rows, events := map[writeback.Reason]int{}, map[int]writeback.Reason{}
	for _, row := range writeback.Reasons() {
		rows[row.Reason]++
		if other, taken := events[row.EventID]; taken {
			t.Errorf("%s and %s share event id %d", row.Reason, other, row.EventID)
		}
		events[row.EventID] = row.Reason
		if row.Meaning == "" || row.Person == "" || row.Remedy == "" || row.Class == "" || row.Settlement == "" || row.EventID == 0 {
			t.Errorf("the row of %s has an empty column: %+v", row.Reason, row)
		}
	}
	declared := declaredReasons(t)
	if len(declared) < 40 {
		t.Fatalf("found only %d reasons in the source", len(declared))
	}
	for _, reason := range declared {
		if rows[reason] != 1 {
			t.Errorf("%s stands in the table %d times, want once", reason, rows[reason])
		}
		delete(rows, reason)
	}
	if len(rows) > 0 {
		t.Errorf("rows without a constant: %v", rows)
	}
}

func TestUnknownReasonsAreInternal(t *testing.T) {
	if got := writeback.Lookup("no.such_reason").Reason; got != writeback.AgentInternal {
		t.Errorf("Lookup of an unknown reason gives %s", got)
	}
	if writeback.Reason("no.such_reason").Known() || !writeback.UserNotFound.Known() {
		t.Error("Known is wrong")
	}
}

func TestCallersCannotChangeTheTable(t *testing.T) {
	writeback.Reasons()[0].Reason = "changed"
	if !writeback.ReasonOK.Known() {
		t.Error("Reasons hands out the table itself")
	}
}

func TestSettle(t *testing.T) {
	for _, c := range []struct {
		reason writeback.Reason
		count  uint32
		want   writeback.Settlement
	}{
		{writeback.ReasonOK, 1, writeback.Complete},
		{writeback.PasswordInHistory, 9, writeback.Complete},
		{writeback.EnvelopeBadSignature, 1, writeback.Discard},
		{writeback.EnvelopeNotForUs, 1, writeback.Abandon},
		{writeback.EnvelopeNotForUs, 3, writeback.Abandon},
		{writeback.EnvelopeNotForUs, 4, writeback.Complete},
		{writeback.AgentStorageUnavailable, 4, writeback.Abandon},
		{writeback.AgentStopping, 1, writeback.Abandon},
		{"no.such_reason", 1, writeback.Complete},
	} {
		if got := writeback.Settle(c.reason, c.count); got != c.want {
			t.Errorf("Settle(%s, %d) = %s, want %s", c.reason, c.count, got, c.want)
		}
	}
}

func TestAbandonedAndDiscardedMessagesPromiseNoWrite(t *testing.T) {
	for _, row := range writeback.Reasons() {
		if row.Settlement != writeback.Complete && (row.Verdict == writeback.Written || row.Verdict == writeback.Unknown) {
			t.Errorf("%s is settled by %s but may have written", row.Reason, row.Settlement)
		}
	}
}

func TestReasonOf(t *testing.T) {
	cause := errors.New("cause")
	typed := &writeback.Error{Reason: writeback.UserDisabled, Detail: writeback.Detail{MinLength: 8}, Cause: cause}
	for _, c := range []struct {
		err  error
		want writeback.Reason
	}{
		{nil, writeback.ReasonOK},
		{cause, writeback.AgentInternal},
		{typed, writeback.UserDisabled},
		{fmt.Errorf("while testing: %w", typed), writeback.UserDisabled},
		{writeback.NewError(writeback.PolicyOutOfScope, typed), writeback.PolicyOutOfScope},
	} {
		if got := writeback.ReasonOf(c.err); got != c.want {
			t.Errorf("ReasonOf(%v) = %s, want %s", c.err, got, c.want)
		}
	}
	if diff := cmp.Diff(8, writeback.DetailOf(fmt.Errorf("outer: %w", typed)).MinLength); diff != "" {
		t.Errorf("DetailOf (-want +got):\n%s", diff)
	}
	if !errors.Is(typed, cause) || typed.Error() != "user.disabled: cause" {
		t.Errorf("Error() = %q, cause lost: %v", typed.Error(), !errors.Is(typed, cause))
	}
}

func TestRemedy(t *testing.T) {
	if got := (&writeback.Error{Reason: writeback.UserDisabled, Hint: "own hint"}).Remedy(); got != "own hint" {
		t.Errorf("Remedy = %q, want the own hint", got)
	}
	if got, want := writeback.NewError(writeback.UserDisabled, nil).Remedy(), writeback.Lookup(writeback.UserDisabled).Remedy; got != want {
		t.Errorf("Remedy = %q, want the table's %q", got, want)
	}
}
