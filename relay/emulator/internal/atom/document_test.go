package atom_test

import (
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator/internal/atom"
)

// wrap is a request as clients write it, with something in its description.
func wrap(inner string) string {
	return `<?xml version="1.0" encoding="utf-8"?><entry xmlns="http://www.w3.org/2005/Atom"><content type="application/xml">` +
		`<QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">` + inner +
		`</QueueDescription></content></entry>`
}

func TestDecodeQueue(t *testing.T) {
	q, err := atom.DecodeQueue(strings.NewReader(wrap(
		`<LockDuration>PT1M</LockDuration><MaxSizeInMegabytes>2048</MaxSizeInMegabytes><RequiresSession>true</RequiresSession>` +
			`<Unknown><Nested/></Unknown><UserMetadata>a &amp; b</UserMetadata>`)))
	if err != nil {
		t.Fatal(err)
	}
	lock, size, session, note := "PT1M", int32(2048), true, "a & b"
	want := &atom.Queue{LockDuration: &lock, MaxSizeInMegabytes: &size, RequiresSession: &session, UserMetadata: &note}
	q.XMLName, q.NS = xml.Name{}, ""
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := wrap("")
	if _, err := atom.DecodeQueue(strings.NewReader(good + "\n<!-- end -->")); err != nil {
		t.Fatalf("the plainest request: %v", err)
	}
	for name, body := range map[string]string{
		"empty":             "",
		"no XML":            "queue=1",
		"cut":               good[:len(good)-10],
		"another root":      strings.ReplaceAll(good, "entry", "feed"),
		"another namespace": strings.ReplaceAll(good, "2005/Atom", "2006/Atom"),
		"a topic":           strings.ReplaceAll(good, "QueueDescription", "TopicDescription"),
		"no content":        `<entry xmlns="http://www.w3.org/2005/Atom"></entry>`,
		"two entries":       good + good,
		"trailing text":     good + "</x>",
		"bad number":        wrap("<MaxDeliveryCount>ten</MaxDeliveryCount>"),
		"huge number":       wrap("<MaxDeliveryCount>99999999999</MaxDeliveryCount>"),
		"bad truth":         wrap("<RequiresSession>perhaps</RequiresSession>"),
		"unknown entity":    wrap("<UserMetadata>&lol;</UserMetadata>"),
		"another encoding":  strings.Replace(good, "utf-8", "utf-16", 1),
		"too long":          good + strings.Repeat(" ", atom.MaxBody),
		"too long inside":   wrap("<UserMetadata>" + strings.Repeat("x", atom.MaxBody) + "</UserMetadata>"),
	} {
		if q, err := atom.DecodeQueue(strings.NewReader(body)); !errors.Is(err, atom.ErrMalformed) {
			t.Errorf("%s: %+v, error %v", name, q, err)
		}
	}
}

// What the service writes can be read back as if a client had sent it, except what only the service writes.
func TestEncodeEntry(t *testing.T) {
	name, meta := "PT30S", "<&>\""
	e := atom.Entry{
		ID: "https://ns/q?api-version=1", Title: "q", Author: "ns",
		Published: time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC), Updated: time.Unix(0, 0),
		Queue: atom.Queue{LockDuration: &name, UserMetadata: &meta, CountDetails: atom.NewCounts(1, 2, 3)},
	}
	b, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`<entry xmlns="http://www.w3.org/2005/Atom"><id>https://ns/q?api-version=1</id><title type="text">q</title>`,
		`<published>2026-01-02T03:04:05.0000006Z</published><updated>1970-01-01T00:00:00Z</updated><author><name>ns</name></author>`,
		`<link rel="self" href="https://ns/q?api-version=1"></link><content type="application/xml"><QueueDescription xmlns="`,
		`<d2p1:ActiveMessageCount>1</d2p1:ActiveMessageCount><d2p1:DeadLetterMessageCount>2<`,
		`<d2p1:ScheduledMessageCount>3</d2p1:ScheduledMessageCount>`,
	} {
		if !strings.Contains(string(b), part) {
			t.Errorf("%s\nis not in\n%s", part, b)
		}
	}
	q, err := atom.DecodeQueue(strings.NewReader(string(b)))
	if err != nil || *q.LockDuration != name || *q.UserMetadata != meta {
		t.Errorf("read back: %+v, %v", q, err)
	}
}

func TestEncodeFeeds(t *testing.T) {
	f := atom.Feed{ID: "i", Title: "Queues", Entries: []atom.Entry{{Title: "a"}, {Title: "b"}}}
	b, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
		Title   string   `xml:"title"`
		Entries []struct {
			Title string `xml:"title"`
		} `xml:"http://www.w3.org/2005/Atom entry"`
	}
	if err := xml.Unmarshal(b, &got); err != nil || got.Title != "Queues" || len(got.Entries) != 2 || got.Entries[1].Title != "b" {
		t.Errorf("%+v %v\n%s", got, err, b)
	}
	if strings.Contains(string(b), `rel="next"`) {
		t.Errorf("nothing follows\n%s", b)
	}
	f.Next = "more"
	if b, err = f.Encode(); err != nil || !strings.Contains(string(b), `<link rel="next" href="more"></link>`) {
		t.Errorf("the next page is missing: %v\n%s", err, b)
	}
	if b, err = atom.NotFound("i", time.Unix(0, 0)).Encode(); err != nil || !strings.Contains(string(b), ">Publicly Listed Services<") {
		t.Errorf("%s %v", b, err)
	}
}

func TestEncodeError(t *testing.T) {
	b := atom.EncodeError(404, "it's not <here>, \"there\" & \x00")
	if want := "<Error><Code>404</Code><Detail>it's not &lt;here&gt;, \"there\" &amp; \uFFFD</Detail></Error>"; string(b) != want {
		t.Errorf("%s", b)
	}
}

// Whatever is read as a request can be answered, and the answer read again.
func FuzzDecodeQueue(f *testing.F) {
	f.Add([]byte(wrap("<LockDuration>PT1M</LockDuration><MaxDeliveryCount>3</MaxDeliveryCount>")))
	f.Add([]byte(wrap("<AuthorizationRules><AuthorizationRule><KeyName>k</KeyName></AuthorizationRule></AuthorizationRules>")))
	f.Add([]byte("<!DOCTYPE x [<!ENTITY a 'b'>]>" + wrap("&a;")))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := atom.DecodeQueue(strings.NewReader(string(body)))
		if err != nil {
			return
		}
		b, err := atom.Entry{Queue: *q}.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := atom.DecodeQueue(strings.NewReader(string(b))); err != nil && len(b) <= atom.MaxBody {
			t.Fatalf("%v\n%s", err, b)
		}
	})
}
