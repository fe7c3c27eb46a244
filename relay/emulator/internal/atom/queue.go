package atom

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// Namespaces of the documents.
const (
	nsAtom     = "http://www.w3.org/2005/Atom"
	nsService  = "http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"
	nsInstance = "http://www.w3.org/2001/XMLSchema-instance"
	nsCounts   = "http://schemas.microsoft.com/netservices/2011/06/servicebus"
)

// MaxBody is the most a request's body may hold, in bytes: many times what a description takes.
const MaxBody = 64 << 10

// ErrMalformed is wrapped by what DecodeQueue returns.
var ErrMalformed = errors.New("the request body is not an Atom entry with a QueueDescription")

// Queue is a QueueDescription. In a request nil means that the client leaves the choice to the service; durations are
// in the form ParseDuration reads.
type Queue struct {
	XMLName                             xml.Name `xml:"QueueDescription"`
	NS                                  string   `xml:"xmlns,attr,omitempty"`
	NSInstance                          string   `xml:"xmlns:i,attr,omitempty"`
	LockDuration                        *string
	MaxSizeInMegabytes                  *int32
	RequiresDuplicateDetection          *bool
	RequiresSession                     *bool
	DefaultMessageTimeToLive            *string
	DeadLetteringOnMessageExpiration    *bool
	DuplicateDetectionHistoryTimeWindow *string
	MaxDeliveryCount                    *int32
	EnableBatchedOperations             *bool
	SizeInBytes                         *int64
	MessageCount                        *int64
	IsAnonymousAccessible               *bool
	AuthorizationRules                  *Rules
	Status                              *string
	ForwardTo                           *string
	UserMetadata                        *string
	CreatedAt                           *string
	UpdatedAt                           *string
	AccessedAt                          *string
	SupportOrdering                     *bool
	CountDetails                        *Counts
	AutoDeleteOnIdle                    *string
	EnablePartitioning                  *bool
	EntityAvailabilityStatus            *string
	EnableExpress                       *bool
	ForwardDeadLetteredMessagesTo       *string
	MaxMessageSizeInKilobytes           *int64
}

// Rules are the shared access policies of a queue.
type Rules struct {
	Rules []Rule `xml:"AuthorizationRule"`
}

// Rule is one shared access policy, named only: keys do not leave the service this way.
type Rule struct {
	KeyName string
}

// Counts are the messages of a queue by state.
type Counts struct {
	NS                 string `xml:"xmlns:d2p1,attr"`
	Active             int    `xml:"d2p1:ActiveMessageCount"`
	DeadLetter         int    `xml:"d2p1:DeadLetterMessageCount"`
	Scheduled          int    `xml:"d2p1:ScheduledMessageCount"`
	Transfer           int    `xml:"d2p1:TransferMessageCount"`
	TransferDeadLetter int    `xml:"d2p1:TransferDeadLetterMessageCount"`
}

// NewCounts makes the counts of a queue.
func NewCounts(active, deadLetter, scheduled int) *Counts {
	return &Counts{NS: nsCounts, Active: active, DeadLetter: deadLetter, Scheduled: scheduled}
}

// request is an entry as clients send it.
type request struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom entry"`
	Content *struct {
		Queue *Queue `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect QueueDescription"`
	} `xml:"content"`
}

// DecodeQueue reads the body of a request, at most MaxBody bytes of it.
func DecodeQueue(r io.Reader) (*Queue, error) {
	in := &io.LimitedReader{R: r, N: MaxBody + 1}
	d := xml.NewDecoder(in)
	var req request
	if err := d.Decode(&req); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if req.Content == nil || req.Content.Queue == nil {
		return nil, ErrMalformed
	}
	if err := onlySpace(d); err != nil {
		return nil, err
	}
	if in.N == 0 {
		return nil, fmt.Errorf("%w: it is longer than %d bytes", ErrMalformed, MaxBody)
	}
	return req.Content.Queue, nil
}

// onlySpace makes sure that nothing follows the entry.
func onlySpace(d *xml.Decoder) error {
	for {
		t, err := d.Token()
		switch t := t.(type) {
		case xml.StartElement:
			return fmt.Errorf("%w: a second element <%s>", ErrMalformed, t.Name.Local)
		case xml.Directive:
			return fmt.Errorf("%w: a directive", ErrMalformed)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
}
