package guard_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/agent/guard"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

const domainSID = "S-1-5-21-1111-2222-3333"

var (
	noon     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ownGUID  = writeback.GUID{0xaa, 1, 2, 3}
	staff    = "ou=staff,dc=corp,dc=example"
	boss     = "ou=board,ou=staff,dc=corp,dc=example"
	services = "ou=services,dc=corp,dc=example"
	root     = "dc=corp,dc=example"
)

func rules() guard.Rules {
	all := []writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck, writeback.OpPing}
	return guard.Rules{
		Issuers: map[string]guard.IssuerRules{
			"portal": {
				Operations: all, Actors: []writeback.ActorKind{writeback.ActorSelf},
				Identifiers:    []writeback.IdentifierKind{writeback.BySID, writeback.ByUPN},
				RequireMethods: 2, AllowedMethods: []string{"pwd", "otp", "fpt"}, MaxAuthAge: 5 * time.Minute,
				Scope: []string{staff},
			},
			"desk": {
				Operations: []writeback.Operation{writeback.OpReset}, Actors: []writeback.ActorKind{writeback.ActorAdmin},
				Identifiers: []writeback.IdentifierKind{writeback.ByGUID}, WholeDirectory: true,
			},
		},
		Domains: map[string]guard.DomainRules{
			"corp.example": {
				Include: []string{staff, services}, Exclude: []string{boss}, EnabledFor: guard.EnabledAll,
				ProtectedGroups:   []string{domainSID + "-2001"},
				ProtectedAccounts: []string{domainSID + "-3001", "03020100-0000-0000-0000-0000000000ff"},
				BindAccounts:      []string{"CN=svc,OU=Staff,DC=corp,DC=example", `CORP\svc1`, "svc2@corp.example", domainSID + "-4001"},
			},
		},
	}
}

func newGuard(t *testing.T) *guard.Guard {
	t.Helper()
	g, err := guard.New(rules())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// claims are those of a person verified a minute ago by two methods.
func claims() writeback.Claims {
	return writeback.Claims{
		Issuer: "portal", ID: "id-1", Operation: writeback.OpReset, Actor: writeback.Actor{Kind: writeback.ActorSelf},
		AuthTime: noon.Add(-time.Minute), Methods: []string{"pwd", "otp"},
	}
}

func request() *writeback.Request {
	return &writeback.Request{
		Claims: claims(), Subject: writeback.Subject{Kind: writeback.ByUPN, Value: "ann@corp.example"},
		Password: secret.NewString("Correct-Horse-1"), Unlock: true,
	}
}

// account is one that may be reset.
func account() writeback.Account {
	return writeback.Account{
		GUID: ownGUID, SID: domainSID + "-1104", Domain: "corp.example", Controller: "dc1.corp.example:636",
		DistinguishedName: "CN=Ann,OU=Sales,OU=Staff,DC=corp,DC=example",
		Containers:        []string{"ou=sales," + staff, staff, root},
		SAMAccountName:    "ann", UserPrincipalName: "ann@corp.example",
		ObjectClasses: []string{"top", "person", "organizationalPerson", "user"}, UserAccountControl: writeback.UACNormalAccount,
		PrimaryGroupSID: domainSID + "-513",
		TokenGroups:     []string{domainSID + "-513", domainSID + "-1200", "S-1-5-32-545"},
		ExpiryKnown:     true,
	}
}

// check compares reason, hint and a part of the cause; the reason ok wants no error.
func check(t *testing.T, err error, reason writeback.Reason, hint, cause string) {
	t.Helper()
	if got := writeback.ReasonOf(err); got != reason {
		t.Fatalf("reason %s, want %s (%v)", got, reason, err)
	}
	if err == nil {
		return
	}
	var typed *writeback.Error
	if !errors.As(err, &typed) {
		t.Fatalf("%T is not a *writeback.Error", err)
	}
	if typed.Detail.Hint != hint {
		t.Errorf("hint %q, want %q", typed.Detail.Hint, hint)
	}
	if typed.Cause == nil || !strings.Contains(typed.Cause.Error(), cause) {
		t.Errorf("cause %v does not say %q", typed.Cause, cause)
	}
}

func TestCheckIssuer(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*writeback.Claims)
		reason writeback.Reason
		hint   string
		cause  string
	}{
		"good":                      {func(*writeback.Claims) {}, writeback.ReasonOK, "", ""},
		"issuer without rules":      {func(c *writeback.Claims) { c.Issuer = "other" }, writeback.PolicyOperationNotAllowed, "", "no rules"},
		"operation not listed":      {func(c *writeback.Claims) { c.Issuer, c.Operation = "desk", writeback.OpUnlock }, writeback.PolicyOperationNotAllowed, "", "unlock"},
		"actor not listed":          {func(c *writeback.Claims) { c.Actor.Kind = writeback.ActorAdmin }, writeback.PolicyOperationNotAllowed, guard.HintActor, "admin"},
		"no actor":                  {func(c *writeback.Claims) { c.Actor = writeback.Actor{} }, writeback.PolicyOperationNotAllowed, guard.HintActor, ""},
		"no methods":                {func(c *writeback.Claims) { c.Methods = nil }, writeback.AuthTooFewMethods, "", "0 methods"},
		"one method":                {func(c *writeback.Claims) { c.Methods = []string{"otp"} }, writeback.AuthTooFewMethods, "", "1 methods"},
		"one method twice":          {func(c *writeback.Claims) { c.Methods = []string{"otp", "otp"} }, writeback.AuthTooFewMethods, "", "1 methods"},
		"mfa is no method":          {func(c *writeback.Claims) { c.Methods = []string{"otp", "mfa", "mca", ""} }, writeback.AuthTooFewMethods, "", "1 methods"},
		"mfa beside methods":        {func(c *writeback.Claims) { c.Methods = []string{"otp", "mfa", "pwd"} }, writeback.ReasonOK, "", ""},
		"method not allowed":        {func(c *writeback.Claims) { c.Methods = []string{"otp", "sms"} }, writeback.AuthMethodNotAllowed, "", "sms"},
		"one more not allowed":      {func(c *writeback.Claims) { c.Methods = []string{"otp", "pwd", "sms"} }, writeback.AuthMethodNotAllowed, "", "sms"},
		"method in other case":      {func(c *writeback.Claims) { c.Methods = []string{"otp", "PWD"} }, writeback.AuthMethodNotAllowed, "", "PWD"},
		"no time":                   {func(c *writeback.Claims) { c.AuthTime = time.Time{} }, writeback.AuthTooOld, "", "does not say"},
		"as old as allowed":         {func(c *writeback.Claims) { c.AuthTime = noon.Add(-5*time.Minute - 30*time.Second) }, writeback.ReasonOK, "", ""},
		"too old":                   {func(c *writeback.Claims) { c.AuthTime = noon.Add(-5*time.Minute - 31*time.Second) }, writeback.AuthTooOld, "", "5m31s"},
		"a little ahead":            {func(c *writeback.Claims) { c.AuthTime = noon.Add(30 * time.Second) }, writeback.ReasonOK, "", ""},
		"in the future":             {func(c *writeback.Claims) { c.AuthTime = noon.Add(31 * time.Second) }, writeback.AuthTooOld, "", "future"},
		"ping needs no person":      {func(c *writeback.Claims) { c.Operation, c.Methods, c.AuthTime = writeback.OpPing, nil, time.Time{} }, writeback.ReasonOK, "", ""},
		"check needs the person":    {func(c *writeback.Claims) { c.Operation, c.Methods = writeback.OpCheck, nil }, writeback.AuthTooFewMethods, "", ""},
		"issuer asking for neither": {func(c *writeback.Claims) { *c = deskClaims() }, writeback.ReasonOK, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := claims()
			test.change(&c)
			check(t, newGuard(t).CheckIssuer(c, noon), test.reason, test.hint, test.cause)
		})
	}
}

func deskClaims() writeback.Claims {
	return writeback.Claims{Issuer: "desk", ID: "id-2", Operation: writeback.OpReset, Actor: writeback.Actor{Kind: writeback.ActorAdmin, ID: "op-7"}}
}

func TestAllowedMethodsAskForOne(t *testing.T) {
	r := rules()
	portal := r.Issuers["portal"]
	portal.RequireMethods = 0
	r.Issuers["portal"] = portal
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	c := claims()
	c.Methods = nil
	check(t, g.CheckIssuer(c, noon), writeback.AuthTooFewMethods, "", "1 are required")
}

func TestCheckPassword(t *testing.T) {
	for name, test := range map[string]struct {
		password string
		reason   writeback.Reason
	}{
		"good":                 {"Correct-Horse-1", writeback.ReasonOK},
		"one character":        {"x", writeback.ReasonOK},
		"spaces are kept":      {"  \t ", writeback.ReasonOK},
		"other scripts":        {"Пароль-密码-😀", writeback.ReasonOK},
		"not normalised":       {"e\u0301\u00e9\ufeff\u200b", writeback.ReasonOK},
		"not a character":      {"a\uffff\U0010ffff", writeback.ReasonOK},
		"256 units":            {strings.Repeat("ü", 256), writeback.ReasonOK},
		"257 units":            {strings.Repeat("ü", 257), writeback.PasswordTooLong},
		"128 pairs":            {strings.Repeat("😀", 128), writeback.ReasonOK},
		"128 pairs and one":    {strings.Repeat("😀", 128) + "x", writeback.PasswordTooLong},
		"very long":            {strings.Repeat("x", 60_000), writeback.PasswordTooLong},
		"empty":                {"", writeback.PasswordInvalidCharacters},
		"NUL":                  {"a\x00b", writeback.PasswordInvalidCharacters},
		"carriage return":      {"ab\r", writeback.PasswordInvalidCharacters},
		"line feed":            {"\nab", writeback.PasswordInvalidCharacters},
		"broken UTF-8":         {"ab\xc3", writeback.PasswordInvalidCharacters},
		"overlong":             {"a\xc0\x80", writeback.PasswordInvalidCharacters},
		"encoded surrogate":    {"a\xed\xa0\x80", writeback.PasswordInvalidCharacters},
		"encoded pair (CESU)":  {"\xed\xa0\xbd\xed\xb8\x80", writeback.PasswordInvalidCharacters},
		"beyond Unicode":       {"\xf4\x90\x80\x80", writeback.PasswordInvalidCharacters},
		"long and broken both": {strings.Repeat("x", 300) + "\xff", writeback.PasswordInvalidCharacters},
	} {
		t.Run(name, func(t *testing.T) {
			r := request()
			r.Password = secret.NewString(test.password)
			err := newGuard(t).CheckPassword(r)
			check(t, err, test.reason, "", "")
			if err != nil && test.password != "" && strings.Contains(err.Error(), test.password) {
				t.Error("the error holds the password")
			}
			if want := map[bool]int{true: 256}[test.reason == writeback.PasswordTooLong]; writeback.DetailOf(err).MaxLength != want {
				t.Errorf("max_length %d, want %d", writeback.DetailOf(err).MaxLength, want)
			}
		})
	}
}

func TestCheckPasswordByOperation(t *testing.T) {
	g := newGuard(t)
	r := request()
	r.Operation, r.OldPassword = writeback.OpChange, secret.NewString("old")
	check(t, g.CheckPassword(r), writeback.ReasonOK, "", "")
	for _, old := range []string{"", "a\x00", "\xff", strings.Repeat("x", 257)} {
		r.OldPassword = secret.NewString(old)
		check(t, g.CheckPassword(r), writeback.PasswordOldIncorrect, "", "old password")
	}
	for _, op := range []writeback.Operation{writeback.OpUnlock, writeback.OpCheck, writeback.OpPing} {
		r := request()
		r.Operation, r.Password = op, secret.Value{}
		check(t, g.CheckPassword(r), writeback.ReasonOK, "", "")
	}
}

func TestCheckSubject(t *testing.T) {
	g := newGuard(t)
	for kind, reason := range map[writeback.IdentifierKind]writeback.Reason{
		writeback.BySID: writeback.ReasonOK, writeback.ByUPN: writeback.ReasonOK, writeback.ByMail: writeback.PolicyOperationNotAllowed,
		writeback.ByGUID: writeback.PolicyOperationNotAllowed, "": writeback.PolicyOperationNotAllowed,
	} {
		r := request()
		r.Subject.Kind = kind
		hint := ""
		if reason != writeback.ReasonOK {
			hint = guard.HintIdentifier
		}
		check(t, g.CheckSubject(r), reason, hint, "")
		check(t, g.CheckAccount(r, account(), noon), reason, hint, "") // the backstop
	}
	r := request()
	r.Operation, r.Subject = writeback.OpPing, writeback.Subject{}
	check(t, g.CheckSubject(r), writeback.ReasonOK, "", "")
	r = request()
	r.Issuer = "other"
	check(t, g.CheckSubject(r), writeback.PolicyOperationNotAllowed, guard.HintIdentifier, "")
}

func TestConceal(t *testing.T) {
	g := newGuard(t)
	notFound := writeback.NewError(writeback.UserNotFound, errors.New("no entry"))
	ambiguous := &writeback.Error{Reason: writeback.UserAmbiguous, Detail: writeback.Detail{Hint: "asserted"}, Cause: errors.New("two entries")}
	for _, issuer := range []string{"portal", "unheard-of"} {
		for _, err := range []error{notFound, ambiguous} {
			got := g.Conceal(issuer, err)
			check(t, got, writeback.PolicyOutOfScope, "", "entr")
			if !errors.Is(got, err) {
				t.Error("the cause was lost")
			}
		}
	}
	for _, err := range []error{notFound, ambiguous} {
		if got := g.Conceal("desk", err); !errors.Is(got, err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	down := writeback.NewError(writeback.DirectoryUnavailable, errors.New("refused"))
	if got := g.Conceal("portal", down); !errors.Is(got, down) {
		t.Errorf("%v became %v", down, got)
	}
	if got := g.Conceal("portal", nil); got != nil {
		t.Errorf("nil became %v", got)
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := guard.New(guard.Rules{
		Issuers: map[string]guard.IssuerRules{
			"a": {Operations: []writeback.Operation{"delete"}, RequireMethods: -1, Scope: []string{""}},
			"b": {WholeDirectory: true, Scope: []string{staff}},
			"c": {},
		},
		Domains: map[string]guard.DomainRules{
			"Corp.example": {ProtectedGroups: []string{"Domain Admins"}, ProtectedAccounts: []string{"ann"}, BindAccounts: []string{""}},
			"d":            {Include: []string{""}},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range []string{
		`issuer a: operation "delete"`, "issuer a: a negative", "issuer a: an empty name", "issuer b: a scope and the whole", "issuer c: no scope",
		"domain Corp.example: no included", `protected group "Domain Admins"`, `protected account "ann"`, "empty name of a bind", "lower case",
		"domain d: an empty name",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not named in:\n%v", part, err)
		}
	}
}

func TestRulesAreCopied(t *testing.T) {
	r := rules()
	g, err := guard.New(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Issuers["portal"].Scope[0] = services
	r.Domains["corp.example"].Include[0] = root
	r.Issuers["portal"].Operations[0] = writeback.OpPing
	r.Issuers["portal"].AllowedMethods[0] = "sms"
	for _, containers := range [][]string{{root}, {services, root}} {
		a := account()
		a.Containers = containers
		check(t, g.CheckAccount(request(), a, noon), writeback.PolicyOutOfScope, "", "")
	}
	check(t, g.CheckIssuer(claims(), noon), writeback.ReasonOK, "", "")
}

func TestRefusalsSayNothingOfTheScope(t *testing.T) {
	g := newGuard(t)
	hidden := []func(*writeback.Account){
		func(a *writeback.Account) { a.Containers = []string{root} },
		func(a *writeback.Account) { a.Containers = []string{services, root} },
		func(a *writeback.Account) { a.Containers = slices.Concat([]string{boss}, a.Containers) },
		func(a *writeback.Account) { a.Containers = nil },
		func(a *writeback.Account) { a.Domain = "other.example" },
		func(a *writeback.Account) { // beyond the scope nothing else shows either
			a.Containers, a.AdminCount, a.TokenGroups, a.UserAccountControl = []string{root}, 1, nil, writeback.UACDisabled
		},
	}
	var want writeback.Outcome
	for i, change := range hidden {
		a := account()
		change(&a)
		err := g.CheckAccount(request(), a, noon)
		got := writeback.Answer(writeback.ReasonOf(err), writeback.DetailOf(err))
		if i == 0 {
			// A user that does not exist is what all others must look like.
			absent := g.Conceal("portal", writeback.NewError(writeback.UserNotFound, errors.New("none")))
			want = writeback.Answer(writeback.ReasonOf(absent), writeback.DetailOf(absent))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("case %d can be told apart:\n%s", i, diff)
		}
	}
}
