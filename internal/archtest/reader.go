package archtest

import (
	"fmt"
	"go/ast"
)

const maxLines = 500

// checkFileLength finds files that have grown past maxLines; generated ones are not read by people.
func checkFileLength(m *Module, report reporter) {
	for _, f := range m.Files {
		if f.Lines > maxLines && !f.Generated {
			report(f.AST.Name.Pos(), fmt.Sprintf("%d lines", f.Lines))
		}
	}
}

// checkPackageDoc finds packages without a comment in any of their files. Packages of tests only need none.
func checkPackageDoc(m *Module, report reporter) {
	documented := make(map[string]bool)
	first := make(map[string]*File)
	for _, f := range m.Files {
		if f.Test {
			continue
		}
		if first[f.Dir] == nil {
			first[f.Dir] = f
		}
		documented[f.Dir] = documented[f.Dir] || f.AST.Doc != nil
	}
	for dir, f := range first {
		if !documented[dir] {
			report(f.AST.Name.Pos(), fmt.Sprintf("package %s has no comment", dir))
		}
	}
}

// checkExportedDoc finds exported names without a comment: functions, methods of exported types, types, constants and
// variables. In a group, the group's comment is enough for constants and variables.
func checkExportedDoc(m *Module, report reporter) {
	for _, f := range m.Files {
		if f.Test || f.Generated {
			continue
		}
		for _, decl := range f.AST.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Name.IsExported() && decl.Doc == nil && receiverExported(decl) {
					report(decl.Name.Pos(), fmt.Sprintf("%s has no comment", decl.Name.Name))
				}
			case *ast.GenDecl:
				checkGroupDoc(decl, report)
			}
		}
	}
}

func checkGroupDoc(group *ast.GenDecl, report reporter) {
	for _, spec := range group.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			alone := !group.Lparen.IsValid() && group.Doc != nil
			if spec.Name.IsExported() && spec.Doc == nil && !alone {
				report(spec.Name.Pos(), fmt.Sprintf("%s has no comment", spec.Name.Name))
			}
		case *ast.ValueSpec:
			reportValues(spec, group.Doc != nil || spec.Doc != nil, report)
		}
	}
}

func reportValues(spec *ast.ValueSpec, documented bool, report reporter) {
	for _, name := range spec.Names {
		if name.IsExported() && !documented {
			report(name.Pos(), fmt.Sprintf("%s has no comment", name.Name))
		}
	}
}

// receiverExported says whether a function is no method, or one of an exported type.
func receiverExported(fn *ast.FuncDecl) bool {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return true
	}
	expr := fn.Recv.List[0].Type
	for {
		switch t := expr.(type) {
		case *ast.StarExpr:
			expr = t.X
		case *ast.IndexExpr:
			expr = t.X
		case *ast.IndexListExpr:
			expr = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}
