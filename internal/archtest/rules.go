package archtest

import (
	"cmp"
	"fmt"
	"go/token"
	"slices"
)

// Rule is one thing that holds everywhere in the module.
type Rule struct {
	// Name is short and stable; fixtures are named after it.
	Name string
	// Why is the reason, for the person whose change broke the rule.
	Why string

	check func(*Module, reporter)
}

// reporter records a breach at a place.
type reporter func(at token.Pos, what string)

// Breach is a place where a rule does not hold.
type Breach struct {
	// Rule is the rule's name.
	Rule string
	// File and Line say where.
	File string
	Line int
	// What says what is wrong there, and Why the reason for the rule.
	What, Why string
}

// String is the sentence a failing test shows.
func (b Breach) String() string {
	return fmt.Sprintf("%s:%d: %s [%s: %s]", b.File, b.Line, b.What, b.Rule, b.Why)
}

// Rules returns the rules of this repository.
func Rules() []Rule {
	return []Rule{
		// How the repository is built.
		{"layers", "imports point downwards, and rooms do not know one another", checkLayers},
		{"libraries", "one owner per library, so that each can be replaced or fixed in one place", checkLibraries},
		{"linked", "emulators and fakes belong to the lab; an installed program must not carry them", checkLinked},

		// What may not appear.
		{"insecure-tls", "a directory or broker that does not prove its name may be anybody", checkInsecureTLS},
		{"ldap-debug", "go-ldap's debug output shows passwords in clear", checkLDAPDebug},
		{"exit", "only main.go of a program ends the process, so that everything else can clean up and be tested", checkExit},
		{"init", "an init function acts before anybody can stop it", checkInit},
		{"globals", "a package variable is state that no caller passed in", checkGlobals},
		{"panic", "no input may stop the agent", checkPanic},
		{"plain-secret", "a password in a string is printed, logged or kept sooner or later; secret.Value is not", checkPlainSecrets},
		{"global-logger", "who logs is told where to: a logrus.FieldLogger is passed in", checkGlobalLogger},

		// What helps the reader.
		{"file-length", "a file has one job; over 500 lines it has several", checkFileLength},
		{"package-doc", "the package comment says what the room is for", checkPackageDoc},
		{"exported-doc", "an exported name says what it means, in which unit, and how it fails", checkExportedDoc},
	}
}

// Check runs one rule.
func Check(m *Module, r Rule) []Breach {
	var breaches []Breach
	r.check(m, func(at token.Pos, what string) {
		position := m.Fset.Position(at)
		breaches = append(breaches, Breach{r.Name, position.Filename, position.Line, what, r.Why})
	})
	slices.SortFunc(breaches, func(a, b Breach) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.What, b.What))
	})
	return slices.Compact(breaches)
}
