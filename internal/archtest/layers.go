package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// A layer says what one package, or all packages below a directory, may import from this module. Names ending in
// "/..." stand for a directory and all below it.
type layer struct {
	dir   string   // the package
	may   []string // what its code may import
	never []string // exceptions from may
	// andTests are what its tests may import beyond that.
	andTests []string
}

// layers is the map of the repository, from the bottom up; the first entry that fits a package decides.
func layers() []layer {
	vocabulary := []string{"internal/secret", "internal/writeback"}
	rooms := []string{"agent", "agent/...", "relay", "relay/...", "ldapwriter", "internal/writeback", "internal/secret"}
	everything := append([]string{"internal/app/...", "internal/logging", "installer/..."}, rooms...)
	standIns := madeForLab()
	with := func(lists ...[]string) []string { return slices.Concat(lists...) }

	return []layer{
		// Leaves: they import nothing of ours, or the leaf before them.
		{dir: "internal/secret"},
		{dir: "internal/dpapi", may: []string{"internal/secret"}},
		{dir: "internal/writeback", may: []string{"internal/secret"}},
		{dir: "internal/writeback/...", may: vocabulary},
		{dir: "internal/logging", may: vocabulary},

		// Rooms. The Pipeline may use its own rooms, which never look back at it.
		{dir: "agent/config", may: with(vocabulary, []string{"agent/...", "internal/dpapi"}), never: []string{"agent"}, andTests: standIns},
		{dir: "agent", may: with(vocabulary, []string{"agent/..."}), andTests: standIns},
		{dir: "agent/...", may: with(vocabulary, []string{"agent/..."}), never: []string{"agent"}, andTests: standIns},
		// The Loop knows neither broker nor crypto; brokers and crypto do not know the Loop.
		{dir: "relay", may: vocabulary, andTests: with(standIns, []string{"relay/..."})},
		{dir: "relay/emulator/...", may: []string{"relay/emulator/...", "internal/secret"}, andTests: with(vocabulary, []string{"relay/..."})},
		{dir: "relay/envelope/envelopetest", may: with(vocabulary, []string{"relay/envelope"})},
		{dir: "relay/envelope", may: with(vocabulary, []string{"internal/dpapi"}), andTests: with(standIns, []string{"relay/..."})},
		{dir: "relay/...", may: with(vocabulary, []string{"relay/envelope", "relay/servicebus"}), andTests: with(standIns, []string{"relay/..."})},
		{dir: "ldapwriter/adtest/...", may: with(vocabulary, []string{"ldapwriter/..."}), andTests: standIns},
		{dir: "ldapwriter/kerberos", may: vocabulary},
		{dir: "ldapwriter", may: with(vocabulary, []string{"ldapwriter/kerberos"}), andTests: with(standIns, []string{"ldapwriter/..."})},

		// What joins them.
		{dir: "internal/app/...", may: with(rooms, []string{"internal/app/...", "internal/logging"}), never: standIns, andTests: standIns},
		{dir: "installer/...", may: everything, never: standIns, andTests: standIns},
		// What strangers copy uses what strangers can import.
		{dir: "examples/...", may: []string{"relay/requester"}},
		{dir: "internal/lab/...", may: with(everything, standIns, []string{"internal/lab/..."})},
		{dir: "internal/e2e/...", may: with(everything, standIns)},
		{dir: "cmd/writeback-lab/...", may: with(everything, standIns, []string{"cmd/writeback-lab/..."})},
		{dir: "cmd/writeback-agent/...", may: with(everything, []string{"cmd/writeback-agent/...", "internal/dpapi"}), never: standIns, andTests: standIns},
		{dir: "cmd/writeback-send/...", may: with(everything, []string{"cmd/writeback-send/..."}), never: standIns, andTests: standIns},

		// For tests and for the build.
		{dir: "internal/sambalab", may: []string{"internal/secret"}},
		{dir: "internal/interop", andTests: with(everything, standIns)},
		{dir: "internal/archtest"},
		{dir: "internal/testsummary"},
	}
}

// madeForLab lists what stands in for other people's systems: for the lab and for tests, never in an installed program.
func madeForLab() []string {
	return []string{
		"relay/emulator/...", "relay/envelope/envelopetest", "ldapwriter/adtest/...",
		"internal/lab/...", "internal/sambalab", "cmd/writeback-lab/...",
	}
}

// covers says whether pattern, a directory or "dir/...", includes dir.
func covers(pattern, dir string) bool {
	if parent, below := strings.CutSuffix(pattern, "/..."); below {
		return dir == parent || strings.HasPrefix(dir, parent+"/")
	}
	return pattern == dir
}

func anyCovers(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return covers(p, dir) })
}

// checkLayers finds imports against the direction of the layers, and packages without a place.
func checkLayers(m *Module, report reporter) {
	for _, f := range m.Files {
		at := slices.IndexFunc(layers(), func(l layer) bool { return covers(l.dir, f.Dir) })
		if at < 0 {
			report(f.AST.Name.Pos(), fmt.Sprintf("package %s has no place in the layers; give it one in internal/archtest/layers.go", f.Dir))
			continue
		}
		for _, imported := range m.imports(f) {
			if imported.Local == "" || allowed(layers()[at], f, imported.Local) {
				continue
			}
			report(imported.Pos, fmt.Sprintf("%s may not import %s", f.Dir, imported.Local))
		}
	}
}

func allowed(l layer, f *File, imported string) bool {
	if f.Test && imported == f.Dir {
		return true // an external test imports the package it tests
	}
	return anyCovers(l.may, imported) && !anyCovers(l.never, imported) || f.Test && anyCovers(l.andTests, imported)
}

// checkLinked follows every import from the two programs people install: nothing made for the lab may be in them.
func checkLinked(m *Module, report reporter) {
	for _, program := range []string{"cmd/writeback-agent", "cmd/writeback-send"} {
		for _, goos := range platforms() {
			for dir, chain := range m.linked(program, goos) {
				if anyCovers(madeForLab(), dir) {
					report(m.importPos(chain[len(chain)-2], dir), fmt.Sprintf("%s for %s links %s: %s", program, goos, dir, strings.Join(chain, " -> ")))
				}
			}
		}
	}
}
