package health

import "context"

// Gate is the intake's view of a [Board].
type Gate struct{ board *Board }

// Gate returns the gate of the board: closed while a condition that [Name.ClosesGate] is [Down]. A degraded one (the disk fills
// up) warns in time and leaves it open.
func (b *Board) Gate() Gate { return Gate{b} }

// Wait returns nil as soon as the gate is open, and the error of ctx when that ends first, also before the first look.
func (g Gate) Wait(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		open, moved := g.look()
		if open {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-moved:
		}
	}
}

// Open reports whether the gate is open now.
func (g Gate) Open() bool {
	open, _ := g.look()
	return open
}

// look returns whether the gate is open, and a channel that is closed when that changes.
func (g Gate) look() (bool, <-chan struct{}) {
	g.board.mu.Lock()
	defer g.board.mu.Unlock()
	return g.board.open(), g.board.gateMoved
}
