package archtest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/password-writeback/writeback/internal/archtest"
)

const modulePath = "github.com/password-writeback/writeback"

// TestHouse holds the module to its rules.
func TestHouse(t *testing.T) {
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("not at the module's root: %v", err)
	}
	module, err := archtest.Load(os.DirFS(root), modulePath)
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range archtest.Rules() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, breach := range archtest.Check(module, rule) {
				t.Error(breach)
			}
		})
	}
}
