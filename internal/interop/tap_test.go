package interop_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tapStep is one line of a script's report, with the comments that follow it.
type tapStep struct {
	name    string
	ok      bool
	comment string
}

// parseTAP reads the part of TAP that the scripts print: "ok 1 - name", "not ok 1 - name", "# comment", and the plan
// "1..n", which must agree with the number of steps: a script that died early has none. Other lines are errors, since
// nobody would see them otherwise.
func parseTAP(r io.Reader) ([]tapStep, error) {
	var (
		steps []tapStep
		errs  []error
		line  = regexp.MustCompile(`^(not )?ok (\d+) - (.+)$`)
		plan  = "no plan"
	)
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text := lines.Text()
		switch step := line.FindStringSubmatch(text); {
		case step != nil:
			steps = append(steps, tapStep{name: step[3], ok: step[1] == ""})
			if step[2] != strconv.Itoa(len(steps)) {
				errs = append(errs, fmt.Errorf("step %d has another number: %q", len(steps), text))
			}
		case strings.HasPrefix(text, "1.."):
			plan = text
		case strings.HasPrefix(text, "#") && len(steps) > 0:
			steps[len(steps)-1].comment += text + "\n"
		case !strings.HasPrefix(text, "#"):
			errs = append(errs, fmt.Errorf("stray line %q", text))
		}
	}
	if want := fmt.Sprintf("1..%d", len(steps)); plan != want || len(steps) == 0 {
		errs = append(errs, fmt.Errorf("the script did not come to its end: %s after %d steps", plan, len(steps)))
	}
	return steps, errors.Join(append(errs, lines.Err())...)
}

func TestParseTAP(t *testing.T) {
	for name, test := range map[string]struct {
		in   string
		want []tapStep
		err  string
	}{
		"whole": {
			in:   "# client 1.0\nok 1 - sends\nnot ok 2 - receives\n# expected 1\n# got 2\n1..2\n",
			want: []tapStep{{name: "sends", ok: true}, {name: "receives", comment: "# expected 1\n# got 2\n"}},
		},
		"died early":      {in: "ok 1 - sends\n", want: []tapStep{{name: "sends", ok: true}}, err: "no plan after 1 steps"},
		"lost a step":     {in: "ok 1 - a\n1..2\n", want: []tapStep{{name: "a", ok: true}}, err: "1..2 after 1 steps"},
		"misnumbered":     {in: "ok 2 - a\n1..1\n", want: []tapStep{{name: "a", ok: true}}, err: "another number"},
		"nothing":         {in: "", err: "no plan after 0 steps"},
		"empty plan":      {in: "1..0\n", err: "1..0 after 0 steps"},
		"talks otherwise": {in: "ok 1 - a\nhello\n1..1\n", want: []tapStep{{name: "a", ok: true}}, err: `stray line "hello"`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseTAP(strings.NewReader(test.in))
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(tapStep{})); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if fmt.Sprint(err) != "<nil>" && test.err == "" || err == nil && test.err != "" || !strings.Contains(fmt.Sprint(err), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}
