package emulator

import "sync"

// inbox takes notes for the goroutine that owns a connection from those that do not: queues handing out messages,
// timers. Its lock is a leaf: nothing is called while it is held, so that a queue may post with its own lock held.
//
// It is bounded by what the connection itself has asked for: the messages its links allow, and one note per link that
// waits for a session.
type inbox struct {
	mu    sync.Mutex
	notes []func()
	wake  chan struct{}
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1)} }

// post leaves a note; it never blocks.
func (b *inbox) post(note func()) {
	b.mu.Lock()
	b.notes = append(b.notes, note)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// run runs the notes, also those that the notes themselves leave. Only the owner calls it.
func (b *inbox) run() {
	for {
		b.mu.Lock()
		notes := b.notes
		b.notes = nil
		b.mu.Unlock()
		if len(notes) == 0 {
			return
		}
		for _, note := range notes {
			note()
		}
	}
}
