package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/faults"
)

func TestParse(t *testing.T) {
	busy := emulator.Fault{Condition: "com.microsoft:server-busy"}
	for text, want := range map[string]faults.Rule{
		"drop=before":  {Effect: emulator.Fault{Drop: emulator.DropBefore}},
		"silent=after": {Effect: emulator.Fault{Drop: emulator.DropAfter, Silent: true}},
		"op=settle,queue=writeback-requests,nth=3,drop=after": {
			Op: emulator.OpSettle, Queue: "writeback-requests", Nth: 3, Effect: emulator.Fault{Drop: emulator.DropAfter},
		},
		"op=send,after=2,every=5,count=4,probability=0.25,refuse=server-busy": {
			Op: emulator.OpSend, After: 2, Every: 5, Count: 4, Probability: 0.25, Effect: busy,
		},
		"op=send,above=10/1s,refuse=com.microsoft:server-busy": {
			Op: emulator.OpSend, Above: faults.Rate{Limit: 10, Per: time.Second}, Effect: busy,
		},
		"op=attach,link=receiver,delay=1m30s,refuse=my:own,description=off for a while": {
			Op: emulator.OpAttach, Link: faults.Receiver, Delay: 90 * time.Second,
			Effect: emulator.Fault{Condition: "my:own", Description: "off for a while"},
		},
		"op=request,name=com.microsoft:renew-lock,refuse=message-lock-lost,status=410": {
			Op: emulator.OpRequest, Name: "com.microsoft:renew-lock",
			Effect: emulator.Fault{Condition: "com.microsoft:message-lock-lost", Status: 410},
		},
		"op=deliver,queue=q/$DeadLetterQueue,detach=detach-forced": {
			Op: emulator.OpDeliver, Queue: "q/$DeadLetterQueue",
			Effect: emulator.Fault{Condition: "amqp:link:detach-forced", Detach: true},
		},
		"duplicate=2,op=settle": {Op: emulator.OpSettle, Effect: emulator.Fault{Again: 2}},
		"delay=300ms":           {Delay: 300 * time.Millisecond},
	} {
		got, err := faults.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
		if again, err := faults.Parse(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is read as %+v, %v", text, got, again, err)
		}
	}
}

// TestParseIsStrict: a typing error must not become a rule that never fires, or one that does something else.
func TestParseIsStrict(t *testing.T) {
	for text, complaint := range map[string]string{
		"":                                              "key=value",
		"drop":                                          `"drop" is not key=value`,
		"drop=":                                         "key=value",
		"drop=after,":                                   "key=value",
		"drop=after, nth=3":                             `unknown key " nth"`,
		"Drop=after":                                    `unknown key "Drop"`,
		"drop=later":                                    "neither before nor after",
		"drop=after,drop=after":                         "twice",
		"drop=after,silent=before":                      "only one thing",
		"drop=after,refuse=server-busy":                 "only one thing",
		"op=send,refuse=a:b,detach=a:b":                 "only one thing",
		"op=settle":                                     "nothing happens",
		"op=setle,drop=after":                           "op=setle: no such operation",
		"op=send,name=x,drop=after":                     "name is for op=request",
		"op=send,link=sender,drop=after":                "link is for op=attach",
		"op=attach,link=both,drop=after":                "link=both",
		"drop=after,nth=0":                              "above 0",
		"drop=after,nth=-1":                             "above 0",
		"drop=after,nth=99999999999":                    "above 0",
		"drop=after,probability=0":                      "at most 1",
		"drop=after,probability=1.1":                    "at most 1",
		"drop=after,probability=NaN":                    "at most 1",
		"drop=after,above=10":                           "slash",
		"drop=after,above=x/1s":                         "before the slash",
		"drop=after,above=10/s":                         "with a unit",
		"delay=5":                                       "with a unit",
		"delay=-5s":                                     "above 0",
		"refuse=busy":                                   "server-busy",
		"op=deliver,refuse=server-busy":                 "cannot be refused",
		"op=attach,detach=detach-forced":                "an attach is refused",
		"detach=detach-forced":                          "op=send, op=deliver and op=settle only",
		"op=send,duplicate=1":                           "op=deliver and op=settle only",
		"op=deliver,duplicate=101":                      "from 1 to 100",
		"op=send,refuse=timeout,status=7":               "status",
		"op=request,drop=after,status=500":              "status",
		"drop=after,description=x":                      "goes with refuse",
		"refuse=a:b\n":                                  "printable",
		"drop=after,queue=" + strings.Repeat("x", 1000): "longer than",
	} {
		if r, err := faults.Parse(text); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%q: got %+v, %v; want a complaint with %q", text, r, err, complaint)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%q: a complaint of %d bytes", text, len(err.Error()))
		}
	}
}

func TestParseAll(t *testing.T) {
	rules, err := faults.ParseAll([]string{"drop=before", "drop=after"})
	if err != nil || len(rules) != 2 || rules[1].Effect.Drop != emulator.DropAfter {
		t.Errorf("got %+v, %v", rules, err)
	}
	if _, err := faults.ParseAll([]string{"drop=before", "drop=never"}); err == nil || !strings.Contains(err.Error(), "drop=never") {
		t.Errorf("got %v, want a complaint that names the rule", err)
	}
}

// TestHelpKnowsEveryKey by what Parse itself says there is.
func TestHelpKnowsEveryKey(t *testing.T) {
	_, err := faults.Parse("colour=red")
	if err == nil {
		t.Fatal("a rule with a colour")
	}
	_, list, _ := strings.Cut(err.Error(), "there are ")
	for key := range strings.SplitSeq(list, ", ") {
		if !strings.Contains(faults.Help(), "  "+key+"=") {
			t.Errorf("the help does not explain %q:\n%s", key, faults.Help())
		}
	}
}

// TestHelpNamesConditions that can be used, and all of them that Parse would suggest.
func TestHelpNamesConditions(t *testing.T) {
	_, err := faults.Parse("refuse=busy")
	if err == nil {
		t.Fatal("a condition named busy")
	}
	_, list, _ := strings.Cut(err.Error(), "one of ")
	_, help, _ := strings.Cut(faults.Help(), "one of these:")
	for name := range strings.SplitSeq(list, ", ") {
		if !strings.Contains(help, name) {
			t.Errorf("the help does not name %q", name)
		}
		if r, err := faults.Parse("refuse=" + name); err != nil || !strings.HasSuffix(r.Effect.Condition, ":"+name) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestNewRefusesRulesMadeByHand that Parse would refuse.
func TestNewRefusesRulesMadeByHand(t *testing.T) {
	drop := emulator.Fault{Drop: emulator.DropAfter}
	for name, r := range map[string]faults.Rule{
		"empty":           {},
		"negative number": {After: -1, Effect: drop},
		"negative delay":  {Delay: -1},
		"half a rate":     {Above: faults.Rate{Limit: 1}, Effect: drop},
		"copies":          {Op: emulator.OpDeliver, Effect: emulator.Fault{Again: -1}},
	} {
		if _, err := faults.New(1, faults.Rule{Effect: drop}, r); err == nil || !strings.Contains(err.Error(), "fault 2") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// FuzzParse: no text makes the parser panic, and what it takes for a rule is one, and written the way it is read.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"op=settle,queue=writeback-requests,nth=3,drop=after", "op=send,above=10/1s,refuse=server-busy",
		"op=deliver,duplicate=2,every=3", "op=request,name=x,refuse=a:b,status=410,description=no", "op=attach,link=sender,delay=1h,silent=before",
		"drop=after,probability=1e-300", "=,=", "drop=after,queue=\xff", "op=send,detach=:",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := faults.Parse(text)
		if err != nil {
			return
		}
		again, err := faults.Parse(r.String())
		if err != nil || again != r {
			t.Errorf("%q is written as %q, which is read as %+v, %v", text, r, again, err)
		}
		if _, err := faults.New(1, r); err != nil {
			t.Errorf("%q cannot be used: %v", text, err)
		}
	})
}
