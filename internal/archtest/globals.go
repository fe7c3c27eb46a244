package archtest

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// checkGlobals finds package variables. These may exist, because nobody changes them:
//
//   - the blank name, which asserts something at compile time, and embedded files;
//   - errors to compare with, named err... or Err..., and compiled regular expressions;
//   - tables: unexported, with a comment, written out as a literal;
//   - the string named version in a program, which the linker fills (-ldflags -X).
//
// The last three are breaches all the same when code of the package writes to them. Tests may have variables: flags are some.
func checkGlobals(m *Module, report reporter) {
	for _, f := range m.Files {
		if f.Test {
			continue
		}
		for _, decl := range f.AST.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR {
				continue
			}
			for _, spec := range group.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok {
					m.checkVariables(f, group, values, report)
				}
			}
		}
	}
}

func (m *Module) checkVariables(f *File, group *ast.GenDecl, values *ast.ValueSpec, report reporter) {
	for i, name := range values.Names {
		var value ast.Expr
		if i < len(values.Values) {
			value = values.Values[i]
		}
		switch {
		case name.Name == "_" || isEmbedded(group, values):
		case isSentinel(name, value) || isTable(group, values, name, value) || isLinked(f, name, value):
			m.reportWrites(f.Dir, name.Name, report)
		default:
			report(name.Pos(), fmt.Sprintf("package variable %s", name.Name))
		}
	}
}

func isEmbedded(group *ast.GenDecl, values *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{group.Doc, values.Doc} {
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }) {
			return true
		}
	}
	return false
}

// isSentinel says whether a variable is what Go has no constants for: an error, a compiled regular expression.
func isSentinel(name *ast.Ident, value ast.Expr) bool {
	if value != nil && regexp.MustCompile(`^(err|Err)[A-Z]`).MatchString(name.Name) {
		return true
	}
	call, ok := value.(*ast.CallExpr)
	if !ok {
		return false
	}
	fn, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := fn.X.(*ast.Ident)
	return ok && pkg.Name == "regexp" && fn.Sel.Name == "MustCompile"
}

func isTable(group *ast.GenDecl, values *ast.ValueSpec, name *ast.Ident, value ast.Expr) bool {
	_, literal := value.(*ast.CompositeLit)
	return literal && !name.IsExported() && (group.Doc != nil || values.Doc != nil)
}

func isLinked(f *File, name *ast.Ident, value ast.Expr) bool {
	literal, ok := value.(*ast.BasicLit)
	return ok && literal.Kind == token.STRING && f.AST.Name.Name == "main" && name.Name == "version"
}

// reportWrites finds code of the package in dir that assigns to a variable, to a part of it, or takes its address. It goes
// by the name; := declares another variable.
func (m *Module) reportWrites(dir, variable string, report reporter) {
	for _, f := range m.Files {
		if f.Dir != dir {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			for _, target := range written(n) {
				if root := rootName(target); root != nil && root.Name == variable {
					report(n.Pos(), fmt.Sprintf("package variable %s is written to", variable))
				}
			}
			return true
		})
	}
}

// written lists the expressions that a statement changes or hands out for change.
func written(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			return n.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{n.X}
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			return []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		if fn, ok := n.Fun.(*ast.Ident); ok && (fn.Name == "delete" || fn.Name == "clear") && len(n.Args) > 0 {
			return n.Args[:1]
		}
	}
	return nil
}

// rootName returns x of x, x[i], x.f, (*x).f and so on.
func rootName(expr ast.Expr) *ast.Ident {
	for {
		switch e := expr.(type) {
		case *ast.Ident:
			return e
		case *ast.IndexExpr:
			expr = e.X
		case *ast.SelectorExpr:
			expr = e.X
		case *ast.StarExpr:
			expr = e.X
		case *ast.ParenExpr:
			expr = e.X
		default:
			return nil
		}
	}
}
