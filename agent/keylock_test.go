package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestKeyLockGivesOneKeyToOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newKeyLock[string](8)
		release, _, err := locks.acquire(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan struct{})
		go func() {
			second, waited, err := locks.acquire(t.Context(), "alice")
			if err != nil || !waited {
				t.Error(waited, err)
				return
			}
			close(got)
			second()
		}()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("two holders at once")
		default:
		}
		release()
		release() // a second release must not let two in
		<-got
		synctest.Wait()
		if len(locks.holders) != 0 {
			t.Errorf("%d locks are kept though nobody uses them", len(locks.holders))
		}
	})
}

func TestKeyLockKeysDoNotWaitForOneAnother(t *testing.T) {
	locks := newKeyLock[string](8)
	for _, key := range []string{"alice", "bob"} {
		if _, waited, err := locks.acquire(t.Context(), key); err != nil || waited {
			t.Fatalf("%s: waited %v, %v", key, waited, err)
		}
	}
}

func TestKeyLockStopsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newKeyLock[string](8)
		release, _, err := locks.acquire(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, _, err := locks.acquire(ctx, "alice"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("acquire after the deadline: %v, want deadline exceeded", err)
		}
		release()
		if again, _, err := locks.acquire(t.Context(), "alice"); err != nil {
			t.Errorf("the lock was lost by the one who stopped waiting: %v", err)
		} else {
			again()
		}
		if len(locks.holders) != 0 {
			t.Errorf("%d locks are kept though nobody uses them", len(locks.holders))
		}
	})
}

func TestKeyLockLetsFewWaitAndForgetsThemAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newKeyLock[string](3)
		for range 3 { // whoever has waited makes room for others
			done := 0
			wait := func(key string) {
				if release, _, err := locks.acquire(t.Context(), key); err == nil {
					done++
					release()
				}
			}
			alice, _, _ := locks.acquire(t.Context(), "alice")
			bob, _, _ := locks.acquire(t.Context(), "bob")
			go wait("alice")
			go wait("alice")
			synctest.Wait()
			if _, _, err := locks.acquire(t.Context(), "alice"); !errors.Is(err, errCrowded) {
				t.Errorf("a third waits for one key: %v", err)
			}
			go wait("bob")
			synctest.Wait()
			if _, _, err := locks.acquire(t.Context(), "bob"); !errors.Is(err, errCrowded) {
				t.Errorf("a fourth waits altogether: %v", err)
			}
			alice()
			synctest.Wait()
			bob()
			synctest.Wait()
			if done != 3 || len(locks.holders) != 0 || locks.waiting != 0 {
				t.Fatalf("%d were served, %d locks are kept, %d wait", done, len(locks.holders), locks.waiting)
			}
		}
	})
}
