package archtest

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Module is the parsed source of a Go module.
type Module struct {
	// Path is the module path; import paths of its packages begin with it.
	Path string
	// Fset holds the positions of all files.
	Fset *token.FileSet
	// Files are all Go files, tests and other platforms' ones included, ordered by name.
	Files []*File
}

// File is one parsed source file.
type File struct {
	// Name is the path from the module's root, with slashes.
	Name string
	// Dir is the package's directory from the module's root; "." is the root itself.
	Dir string
	// Test says that the file belongs to a test build only.
	Test bool
	// Generated says that the file carries the "Code generated ... DO NOT EDIT." line.
	Generated bool
	// Lines is the number of lines.
	Lines int
	// AST is the syntax tree with comments.
	AST *ast.File
	// platforms are those, of the platforms we build for, whose build includes the file.
	platforms []string
}

// platforms are what releases are built for; architectures differ in no file of ours.
func platforms() []string { return []string{"linux", "windows"} }

// Load parses every Go file below fsys. Directories named testdata, vendor, bin, dist and those beginning with a dot or an
// underscore are left out, as are nested modules.
func Load(fsys fs.FS, modulePath string) (*Module, error) {
	m := &Module{Path: modulePath, Fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && skipDir(fsys, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		return m.add(fsys, name)
	})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", modulePath, err)
	}
	return m, nil
}

func skipDir(fsys fs.FS, name string) bool {
	if name == "." {
		return false
	}
	base := path.Base(name)
	if strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || slices.Contains([]string{"testdata", "vendor", "bin", "dist"}, base) {
		return true
	}
	_, err := fs.Stat(fsys, path.Join(name, "go.mod"))
	return err == nil
}

func (m *Module) add(fsys fs.FS, name string) error {
	source, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(m.Fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	file := &File{
		Name:      name,
		Dir:       path.Dir(name),
		Test:      strings.HasSuffix(name, "_test.go"),
		Generated: ast.IsGenerated(parsed),
		Lines:     m.Fset.File(parsed.Pos()).LineCount(),
		AST:       parsed,
	}
	for _, goos := range platforms() {
		matched, err := matches(fsys, name, goos)
		if err != nil {
			return err
		}
		if matched {
			file.platforms = append(file.platforms, goos)
		}
	}
	m.Files = append(m.Files, file)
	return nil
}

// matches says whether goos's build includes the file, by its name and its build constraint.
func matches(fsys fs.FS, name, goos string) (bool, error) {
	ctx := build.Default
	ctx.GOOS, ctx.GOARCH, ctx.CgoEnabled = goos, "amd64", false
	ctx.JoinPath = path.Join
	ctx.OpenFile = func(name string) (io.ReadCloser, error) { return fsys.Open(name) }
	return ctx.MatchFile(path.Dir(name), path.Base(name))
}

// Import is one import declaration.
type Import struct {
	// Path is what is imported.
	Path string
	// Local is the directory from the module's root if Path is a package of the module, else empty.
	Local string
	// Pos is where.
	Pos token.Pos
}

// imports lists a file's imports.
func (m *Module) imports(f *File) []Import {
	list := make([]Import, 0, len(f.AST.Imports))
	for _, spec := range f.AST.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser has accepted the literal already
		}
		local, ok := strings.CutPrefix(imported, m.Path+"/")
		if !ok {
			local = ""
		}
		list = append(list, Import{Path: imported, Local: local, Pos: spec.Pos()})
	}
	return list
}

// linked returns the directories that end up in the program built from dir for goos, each with the chain of imports
// that leads there. Only packages of the module are followed: none from outside imports one of ours.
func (m *Module) linked(dir, goos string) map[string][]string {
	chains := map[string][]string{dir: {dir}}
	for queue := []string{dir}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		for _, f := range m.Files {
			if f.Dir != at || f.Test || !slices.Contains(f.platforms, goos) {
				continue
			}
			for _, imported := range m.imports(f) {
				if _, seen := chains[imported.Local]; seen || imported.Local == "" {
					continue
				}
				chains[imported.Local] = append(slices.Clone(chains[at]), imported.Local)
				queue = append(queue, imported.Local)
			}
		}
	}
	return chains
}

// importPos returns where the package in from imports the one in dir.
func (m *Module) importPos(from, dir string) token.Pos {
	for _, f := range m.Files {
		if f.Dir != from || f.Test {
			continue
		}
		for _, imported := range m.imports(f) {
			if imported.Local == dir {
				return imported.Pos
			}
		}
	}
	return token.NoPos
}
