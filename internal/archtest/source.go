package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
)

// importedAs returns the names under which f imports the package at importPath; usually none or one.
func (m *Module) importedAs(f *File, importPath string) []string {
	var names []string
	for i, imported := range m.imports(f) {
		if imported.Path != importPath {
			continue
		}
		if given := f.AST.Imports[i].Name; given != nil {
			names = append(names, given.Name)
			continue
		}
		name := path.Base(importPath)
		if regexp.MustCompile(`^v[0-9]+$`).MatchString(name) {
			name = path.Base(path.Dir(importPath))
		}
		names = append(names, name)
	}
	return names
}

// eachUse calls visit for every use of a name of the package at importPath: os.Exit is the name Exit of "os".
func (m *Module) eachUse(f *File, importPath string, visit func(at token.Pos, name string)) {
	names := m.importedAs(f, importPath)
	if len(names) == 0 {
		return
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := selector.X.(*ast.Ident); ok && slices.Contains(names, pkg.Name) {
				visit(selector.Pos(), selector.Sel.Name)
			}
		}
		return true
	})
}

// checkInsecureTLS finds the name InsecureSkipVerify, however it is set; tests may not use it either.
func checkInsecureTLS(m *Module, report reporter) {
	for _, f := range m.Files {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok && name.Name == "InsecureSkipVerify" {
				report(name.Pos(), "InsecureSkipVerify turns certificate checks off")
			}
			return true
		})
	}
}

// checkLDAPDebug finds the switch on a connection (conn.Debug, which logrus' methods of that name are told apart from by
// being called) and the package's logger.
func checkLDAPDebug(m *Module, report reporter) {
	const library = "github.com/go-ldap/ldap/v3"
	for _, f := range m.Files {
		if len(m.importedAs(f, library)) == 0 {
			continue
		}
		called := make(map[ast.Expr]bool)
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				called[n.Fun] = true
			case *ast.SelectorExpr:
				if n.Sel.Name == "Debug" && !called[n] {
					report(n.Pos(), "go-ldap's Debug is used")
				}
			}
			return true
		})
		m.eachUse(f, library, func(at token.Pos, name string) {
			if name == "Logger" {
				report(at, "go-ldap's Logger is used")
			}
		})
	}
}

// checkExit finds everything that ends the process, outside a program's main.go and outside tests.
func checkExit(m *Module, report reporter) {
	enders := map[string][]string{
		"os":                         {"Exit"},
		"syscall":                    {"Exit"},
		"runtime":                    {"Goexit"},
		"log":                        {"Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
		"github.com/sirupsen/logrus": {"Fatal", "Fatalf", "Fatalln", "Exit", "Panic", "Panicf", "Panicln"},
	}
	for _, f := range m.Files {
		if f.Test || f.AST.Name.Name == "main" && path.Base(f.Name) == "main.go" {
			continue
		}
		for pkg, names := range enders {
			m.eachUse(f, pkg, func(at token.Pos, name string) {
				if slices.Contains(names, name) {
					report(at, fmt.Sprintf("%s.%s ends the process", path.Base(pkg), name))
				}
			})
		}
	}
}

// checkInit finds init functions, in tests too.
func checkInit(m *Module, report reporter) {
	for _, f := range m.Files {
		for _, decl := range f.AST.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				report(fn.Pos(), "an init function")
			}
		}
	}
}

// checkPanic finds panics in code that is no test.
func checkPanic(m *Module, report reporter) {
	for _, f := range m.Files {
		if f.Test {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "panic" {
					report(call.Pos(), "a panic")
				}
			}
			return true
		})
	}
}

// checkPlainSecrets finds parameters, results and fields that are named like a password but are text or bytes. The bytes that
// secret.Value.Use lends to its callback are what the rule wants to be used. Tests and stand-ins make passwords up.
func checkPlainSecrets(m *Module, report reporter) {
	secretName := regexp.MustCompile(`(?i)(password|passwd|passphrase|secret)$`)
	for _, f := range m.Files {
		if f.Test || f.Dir == "internal/secret" || anyCovers(madeForLab(), f.Dir) {
			continue
		}
		lent := make(map[*ast.FieldList]bool)
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if callback := lentTo(call); callback != nil {
					lent[callback.Type.Params] = true
				}
			}
			fields, ok := n.(*ast.FieldList)
			if !ok || lent[fields] {
				return true
			}
			for _, field := range fields.List {
				for _, name := range field.Names {
					if secretName.MatchString(name.Name) && isPlain(field.Type) {
						report(name.Pos(), fmt.Sprintf("%s is plain text; make it a secret.Value", name.Name))
					}
				}
			}
			return true
		})
	}
}

// lentTo returns the function literal in x.Use(func(b []byte) { ... }), or nil.
func lentTo(call *ast.CallExpr) *ast.FuncLit {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != "Use" || len(call.Args) != 1 {
		return nil
	}
	callback, _ := call.Args[0].(*ast.FuncLit)
	return callback
}

// isPlain says whether an expression is the type string, *string, []byte or []string.
func isPlain(expr ast.Expr) bool {
	switch t := expr.(type) {
	case *ast.Ident:
		return t.Name == "string" || t.Name == "byte"
	case *ast.StarExpr:
		return isPlain(t.X)
	case *ast.ArrayType:
		return t.Len == nil && isPlain(t.Elt)
	}
	return false
}

// checkGlobalLogger finds logrus' own logger, its package functions, and loggers made outside internal/logging and tests.
// A silent logger, for a caller that passed none in, may be made anywhere.
func checkGlobalLogger(m *Module, report reporter) {
	passive := []string{ // types and values that log nothing
		"FieldLogger", "Fields", "Level", "Entry", "ErrorKey", "Formatter", "Hook", "JSONFormatter", "TextFormatter", "FieldMap",
		"PanicLevel", "FatalLevel", "ErrorLevel", "WarnLevel", "InfoLevel", "DebugLevel", "TraceLevel", "AllLevels", "ParseLevel", "LevelHooks",
		"FieldKeyMsg", "FieldKeyLevel", "FieldKeyTime",
	}
	makers := []string{"New", "NewEntry", "Logger"}
	for _, f := range m.Files {
		mayMake := f.Test || f.Dir == "internal/logging"
		silent := m.silencers(f)
		m.eachUse(f, "github.com/sirupsen/logrus", func(at token.Pos, name string) {
			made := slices.Contains(makers, name) && (mayMake || silent(at))
			if !made && !slices.Contains(passive, name) {
				report(at, fmt.Sprintf("logrus.%s; take a logrus.FieldLogger instead", name))
			}
		})
	}
}

// silencers tells whether a place in f is in a function that uses io.Discard, which is where a silent logger writes.
func (m *Module) silencers(f *File) func(token.Pos) bool {
	var silent []ast.Decl
	m.eachUse(f, "io", func(at token.Pos, name string) {
		for _, decl := range f.AST.Decls {
			if name == "Discard" && decl.Pos() <= at && at < decl.End() {
				silent = append(silent, decl)
			}
		}
	})
	return func(at token.Pos) bool {
		return slices.ContainsFunc(silent, func(decl ast.Decl) bool { return decl.Pos() <= at && at < decl.End() })
	}
}
