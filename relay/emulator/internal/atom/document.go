package atom

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"
)

// Entry is one queue as the service answers it.
type Entry struct {
	// ID is the address of the queue, Title its name, Author the namespace.
	ID, Title, Author  string
	Published, Updated time.Time
	Queue              Queue
}

// Feed is a list of queues, or a page of it.
type Feed struct {
	ID, Title string
	Updated   time.Time
	Entries   []Entry
	// Next is the address of the page that follows, "" on the last one. Some clients count entries instead, others know no
	// other way to the next page.
	Next string
}

// notFoundTitle is how clients know the feed that says that an entity does not exist.
const notFoundTitle = "Publicly Listed Services"

// NotFound is what the service answers, with status 200, to a question about an entity that does not exist.
func NotFound(id string, now time.Time) Feed { return Feed{ID: id, Title: notFoundTitle, Updated: now} }

type text struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type link struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
}

type author struct {
	Name string `xml:"name"`
}

type content struct {
	Type string `xml:"type,attr"`
	Body any
}

type entryXML struct {
	XMLName   xml.Name `xml:"entry"`
	NS        string   `xml:"xmlns,attr"`
	ID        string   `xml:"id"`
	Title     text     `xml:"title"`
	Published string   `xml:"published"`
	Updated   string   `xml:"updated"`
	Author    author   `xml:"author"`
	Link      link     `xml:"link"`
	Content   content  `xml:"content"`
}

type feedXML struct {
	XMLName xml.Name `xml:"feed"`
	NS      string   `xml:"xmlns,attr"`
	Title   text     `xml:"title"`
	ID      string   `xml:"id"`
	Updated string   `xml:"updated"`
	Links   []link   `xml:"link"`
	Entries []entryXML
}

func (e Entry) document() entryXML {
	q := e.Queue
	q.NS, q.NSInstance = nsService, nsInstance
	return e.around(q)
}

// around is the entry with some content.
func (e Entry) around(body any) entryXML {
	return entryXML{
		NS: nsAtom, ID: e.ID, Title: plain(e.Title), Published: Time(e.Published), Updated: Time(e.Updated),
		Author: author{e.Author}, Link: link{"self", e.ID}, Content: content{"application/xml", body},
	}
}

// Encode is the entry as a document.
func (e Entry) Encode() ([]byte, error) { return xml.Marshal(e.document()) }

// Encode is the feed as a document.
func (f Feed) Encode() ([]byte, error) {
	doc := feedXML{NS: nsAtom, Title: plain(f.Title), ID: f.ID, Updated: Time(f.Updated), Links: []link{{"self", f.ID}}}
	if f.Next != "" {
		doc.Links = append(doc.Links, link{"next", f.Next})
	}
	for _, e := range f.Entries {
		doc.Entries = append(doc.Entries, e.document())
	}
	return xml.Marshal(doc)
}

func plain(s string) text { return text{Type: "text", Text: s} }

// namespaceXML is what the service tells of itself.
type namespaceXML struct {
	XMLName      xml.Name `xml:"NamespaceInfo"`
	NS           string   `xml:"xmlns,attr"`
	CreatedTime  string
	MessagingSKU string
	ModifiedTime string
	Name         string
	Type         string `xml:"NamespaceType"`
}

// EncodeNamespace is the description of a namespace, as an entry whose Queue does not matter.
func EncodeNamespace(e Entry, tier string) ([]byte, error) {
	return xml.Marshal(e.around(namespaceXML{
		NS: nsService, CreatedTime: Time(e.Published), MessagingSKU: tier, ModifiedTime: Time(e.Updated),
		Name: e.Author, Type: "Messaging",
	}))
}

// EncodeError is the body of a refusal. Quotes stay as they are, as the service leaves them: people read the text as it
// comes.
func EncodeError(status int, detail string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<Error><Code>%d</Code><Detail>", status)
	_ = xml.EscapeText(&b, []byte(detail)) // a buffer takes everything
	text := strings.NewReplacer("&#39;", "'", "&#34;", `"`).Replace(b.String())
	return []byte(text + "</Detail></Error>")
}

// Time writes a moment as the service does: RFC 3339 with ticks of 100 ns, in UTC.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.9999999Z") }
