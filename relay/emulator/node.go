package emulator

import (
	"strings"

	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// nodeKind is what an address stands for.
type nodeKind int

const (
	nodeQueue nodeKind = iota
	nodeManagement
	nodeCBS
)

const (
	addressCBS       = "$cbs"
	suffixManagement = "/$management"
	suffixDeadLetter = "/$deadletterqueue"
)

// node is the far end of a link.
type node struct {
	kind   nodeKind
	path   string // in lower case, as claims name it: one for "q" covers "q/$management", but not the other way round
	name   string // as configured, for people
	entity *entity
	broker *broker.Queue // the queue, or its dead-letter queue
}

// resolve finds the node of an address: "$cbs", "queue", "queue/$DeadLetterQueue", each of the latter two also with
// "/$management". Some clients write the address as a URL.
func (s *Server) resolve(address string) (node, bool) {
	path := strings.ToLower(address)
	if _, rest, ok := strings.Cut(path, "://"); ok {
		_, path, _ = strings.Cut(rest, "/")
	}
	path = strings.Trim(path, "/")
	if path == addressCBS {
		return node{kind: nodeCBS, path: path, name: addressCBS}, true
	}
	n := node{path: path}
	if base, ok := strings.CutSuffix(path, suffixManagement); ok {
		path, n.kind = base, nodeManagement
	}
	queue, dead := strings.CutSuffix(path, suffixDeadLetter)
	e, ok := s.queues.find(queue)
	if !ok {
		return node{}, false
	}
	n.entity, n.broker, n.name = e, e.broker, e.Name
	if dead {
		n.broker, n.name = e.broker.DeadLetter(), e.Name+"/$DeadLetterQueue"
	}
	return n, true
}
