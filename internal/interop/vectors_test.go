package interop_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	vectorFolder  = "../../relay/envelope/testdata/vectors"
	vectorScripts = "../../test/vectors"
)

// vectorRunners are programs in other languages that open tokens by docs/protocol.md, below test/vectors.
func vectorRunners() map[string]string {
	return map[string]string{"python": "run.py", "node": "run.mjs"}
}

// TestVectors runs the protocol's test vectors in other languages: every vector there is must end as its file says.
func TestVectors(t *testing.T) {
	files := vectorFiles(t)
	for name, script := range vectorRunners() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, step := range runVectors(t, name, script, vectorFolder, files) {
				if !step.ok {
					t.Errorf("%s:\n%.4000s", step.name, step.comment)
				}
			}
		})
	}
}

// TestVectorRunnersSeeEveryDifference gives the runners vectors each of which expects something that is not so: one value of its
// expectation is another one, in turn the first, the second and so on.
func TestVectorRunnersSeeEveryDifference(t *testing.T) {
	folder, files := t.TempDir(), vectorFiles(t)
	for name, file := range files {
		for i, vector := range file["vectors"].([]any) {
			alter(vector.(map[string]any), i)
		}
		text, err := json.Marshal(file)
		check(t, err)
		path := filepath.Join(folder, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o700))
		check(t, os.WriteFile(path, text, 0o600))
	}
	for name, script := range vectorRunners() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, step := range runVectors(t, name, script, folder, files) {
				if step.ok {
					t.Errorf("%s: the runner found what is not so", step.name)
				}
			}
		})
	}
}

// alter makes another value of the i-th of an expectation. Where nothing is expected, as of keys that must be refused, one key is.
func alter(vector map[string]any, i int) {
	places := leaves(vector["expect"])
	if len(places) == 0 {
		vector["expect"] = []any{map[string]any{"kid": "x", "use": "sig", "alg": "ES256"}}
		return
	}
	places[i%len(places)]()
}

// runVectors runs one runner over a folder and makes sure that it left no vector out.
func runVectors(t *testing.T, language, script, folder string, files map[string]map[string]any) []tapStep {
	t.Helper()
	program := interpreter(t, language)
	dir := filepath.Join(vectorScripts, language)
	dependOn(t, dir)
	absolute, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	steps, faults := runScript(t, program, dir, nil, script, absolute)
	if faults != nil {
		t.Fatal(faults)
	}
	var want, got []string
	for _, file := range slices.Sorted(maps.Keys(files)) {
		for _, vector := range files[file]["vectors"].([]any) {
			want = append(want, file+"/"+vector.(map[string]any)["name"].(string))
		}
	}
	for _, step := range steps {
		got = append(got, step.name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the runner's vectors (-files +run):\n%s", diff)
	}
	return steps
}

// vectorFiles reads all files of vectors, by their names below the folder.
func vectorFiles(t *testing.T) map[string]map[string]any {
	t.Helper()
	tokens, err := filepath.Glob(filepath.Join(vectorFolder, "*.json"))
	check(t, err)
	keys, err := filepath.Glob(filepath.Join(vectorFolder, "keys", "*.json"))
	check(t, err)
	if len(tokens) < 6 || len(keys) < 1 {
		t.Fatalf("too few vectors: %v, %v", tokens, keys)
	}
	files := make(map[string]map[string]any)
	for _, path := range slices.Concat(tokens, keys) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(vectorFolder, path)
		check(t, err)
		files[filepath.ToSlash(name)] = file
	}
	return files
}

// leaves returns for each text, number and truth value in a JSON value what makes another one of it.
func leaves(value any) []func() {
	var found []func()
	visit := func(inner any, put func(any)) {
		switch inner := inner.(type) {
		case string:
			found = append(found, func() { put(inner + "A") })
		case float64:
			found = append(found, func() { put(inner + 1) })
		case bool:
			found = append(found, func() { put(!inner) })
		default:
			found = append(found, leaves(inner)...)
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			visit(value[name], func(other any) { value[name] = other })
		}
	case []any:
		for i := range value {
			visit(value[i], func(other any) { value[i] = other })
		}
	}
	return found
}

// TestWorkedExample recomputes every value of the worked example in docs/protocol.md from the document alone.
func TestWorkedExample(t *testing.T) {
	dir := filepath.Join(vectorScripts, "python")
	dependOn(t, dir)
	document, err := filepath.Abs("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(document); err != nil {
		t.Fatal(err)
	}
	steps, faults := runScript(t, interpreter(t, "python"), dir, nil, "example.py", document)
	for _, step := range steps {
		if !step.ok {
			t.Errorf("%s:\n%s", step.name, step.comment)
		}
	}
	if faults != nil {
		t.Error(faults)
	}
}
