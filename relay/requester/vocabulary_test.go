package requester_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

// TestOutsidersCanNameEveryType walks all that the package hands out or takes: whatever stands in a package that outsiders cannot import must have a
// name here.
func TestOutsidersCanNameEveryType(t *testing.T) {
	named := make(map[reflect.Type]bool)
	for _, each := range []any{
		requester.Result{}, requester.Outcome{}, requester.Verdict(""), requester.Reason(""), requester.ReasonInfo{}, requester.Class(""), requester.Detail{},
		requester.Error{}, requester.Digest{}, requester.Operation(""), requester.Settlement(""), requester.Claims{}, requester.Subject{},
		requester.IdentifierKind(""), requester.Actor{}, requester.ActorKind(""), requester.Secret{}, requester.PrivateKey{}, requester.PublicKey{},
		requester.KeyUse(""), requester.KeyAlgorithm(""), requester.Prepared{}, requester.RequestKey{},
	} {
		named[reflect.TypeOf(each)] = true
	}
	seen := make(map[reflect.Type]bool)
	for _, each := range []any{
		&requester.Client{}, requester.Config{}, requester.DialConfig{}, requester.CarryConfig{}, requester.Keys{}, requester.Stats{}, &requester.ExchangeError{},
		requester.Dial, requester.New, requester.Carry, requester.Lookup, requester.Reasons, requester.ParseAgents, requester.ParseSigningKey,
	} {
		visit(reflect.TypeOf(each), seen)
	}
	for each := range seen {
		if strings.HasPrefix(each.PkgPath(), "github.com/password-writeback/writeback/") && !strings.HasSuffix(each.PkgPath(), "/requester") && !named[each] {
			t.Errorf("outsiders cannot name %s", each)
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d types were seen", len(seen))
	}
}

// visit collects every type that can be reached through exported names.
func visit(at reflect.Type, seen map[reflect.Type]bool) {
	if seen[at] {
		return
	}
	seen[at] = true
	for i := range at.NumMethod() {
		visit(at.Method(i).Type, seen)
	}
	switch at.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		visit(at.Elem(), seen)
	case reflect.Map:
		visit(at.Key(), seen)
		visit(at.Elem(), seen)
	case reflect.Func:
		for i := range at.NumIn() {
			visit(at.In(i), seen)
		}
		for i := range at.NumOut() {
			visit(at.Out(i), seen)
		}
	case reflect.Struct:
		for i := range at.NumField() {
			if field := at.Field(i); field.IsExported() {
				visit(field.Type, seen)
			}
		}
	}
}

func TestTheTableOfReasonsIsTheAgents(t *testing.T) {
	if diff := cmp.Diff(writeback.Reasons(), requester.Reasons()); diff != "" {
		t.Error(diff)
	}
}
