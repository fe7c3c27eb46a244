package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"gopkg.in/yaml.v3"

	"github.com/password-writeback/writeback/internal/secret"
)

const needle = "Sup3r-Secret-Needle"

type exported struct{ Field secret.Value }

type unexported struct{ field secret.Value }

type nested struct{ inner *unexported }

// leaksIn reports the forms in which printers might show the needle.
func leaksIn(text string) bool {
	forms := []string{
		needle,
		fmt.Sprintf("%x", needle), fmt.Sprintf("%X", needle), fmt.Sprintf("% x", needle),
		strings.Trim(fmt.Sprint([]byte(needle)), "[]"),
		strings.Trim(fmt.Sprintf("%#v", []byte(needle)), "[]byte{}"),
	}
	for _, form := range forms {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}

func holders() map[string]any {
	v := secret.NewString(needle)
	return map[string]any{
		"value":              v,
		"pointer":            &v,
		"exported field":     exported{v},
		"unexported field":   unexported{v},
		"pointer to struct":  &unexported{v},
		"nested pointer":     nested{&unexported{v}},
		"slice":              []secret.Value{v},
		"map":                map[string]secret.Value{"k": v},
		"interface in slice": []any{v, unexported{v}},
	}
}

func TestNoPrinterShowsTheSecret(t *testing.T) {
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%c", "%U", "%t"}
	for name, holder := range holders() {
		for _, verb := range verbs {
			if out := fmt.Sprintf(verb, holder); leaksIn(out) {
				t.Errorf("fmt %s of %s shows the secret: %s", verb, name, out)
			}
		}
	}
}

func TestNoEncoderShowsTheSecret(t *testing.T) {
	encoders := map[string]func(any) string{
		"json": func(v any) string { b, err := json.Marshal(v); return string(b) + fmt.Sprint(err) },
		"xml":  func(v any) string { b, err := xml.Marshal(v); return string(b) + fmt.Sprint(err) },
		"yaml": func(v any) string { b, err := yaml.Marshal(v); return string(b) + fmt.Sprint(err) },
		"gob": func(v any) string {
			var out bytes.Buffer
			err := gob.NewEncoder(&out).Encode(v)
			return out.String() + fmt.Sprint(err)
		},
		"error":   func(v any) string { return fmt.Errorf("cause: %v: %w", v, errors.New("x")).Error() },
		"cmp":     func(v any) string { return cmp.Diff(fmt.Sprint(v), "other") },
		"slog":    func(v any) string { return slogged(slog.NewTextHandler, v) },
		"logrus":  func(v any) string { return logrused(&logrus.TextFormatter{}, v) },
		"logrusJ": func(v any) string { return logrused(&logrus.JSONFormatter{}, v) },
	}
	for encoder, encode := range encoders {
		for name, holder := range holders() {
			if out := encode(holder); leaksIn(out) {
				t.Errorf("%s of %s shows the secret: %s", encoder, name, out)
			}
		}
	}
}

func slogged(newHandler func(io.Writer, *slog.HandlerOptions) *slog.TextHandler, v any) string {
	var out bytes.Buffer
	slog.New(newHandler(&out, nil)).Info("message", "key", v)
	return out.String()
}

func logrused(f logrus.Formatter, v any) string {
	var out bytes.Buffer
	logger := logrus.New()
	logger.SetOutput(&out)
	logger.SetFormatter(f)
	logger.WithField("key", v).Info("message")
	return out.String()
}

func TestEncodersSayRedacted(t *testing.T) {
	b, err := json.Marshal(exported{secret.NewString(needle)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"Field":"[redacted]"}`, string(b)); diff != "" {
		t.Errorf("json (-want +got):\n%s", diff)
	}
	y, err := yaml.Marshal(exported{secret.NewString(needle)})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("field: '[redacted]'\n", string(y)); diff != "" {
		t.Errorf("yaml (-want +got):\n%s", diff)
	}
}

func TestRevealReturnsACopy(t *testing.T) {
	v := secret.NewString(needle)
	got := v.Reveal()
	if diff := cmp.Diff(needle, string(got)); diff != "" {
		t.Fatalf("Reveal (-want +got):\n%s", diff)
	}
	clear(got)
	if !v.Equal(secret.NewString(needle)) {
		t.Error("clearing the copy changed the secret")
	}
}

func TestDestroyZeroesTheBytesOfAllCopies(t *testing.T) {
	raw := []byte(needle)
	v := secret.New(raw)
	other := v
	v.Destroy()
	v.Destroy()
	if !bytes.Equal(raw, make([]byte, len(raw))) {
		t.Errorf("bytes after Destroy: %q, want zeros", raw)
	}
	if !other.Empty() || other.Len() != 0 {
		t.Error("a copy still holds the secret after Destroy")
	}
}

func TestZeroValueIsEmpty(t *testing.T) {
	var v secret.Value
	v.Destroy()
	v.Use(func(b []byte) {
		if len(b) != 0 {
			t.Errorf("zero Value passes %d bytes", len(b))
		}
	})
	if !v.Empty() || !v.Equal(secret.NewString("")) {
		t.Error("the zero Value is not the empty secret")
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"a", "a", true}, {"a", "b", false}, {"a", "ab", false}, {"", "", true}} {
		if got := secret.NewString(c.a).Equal(secret.NewString(c.b)); got != c.want {
			t.Errorf("Equal(%q, %q) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}
