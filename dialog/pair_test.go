package dialog_test

import (
	"testing"

	"github.com/goparley/parley/dialog"
)

// A caller is tied to one branch of a fork after the other, as they ring. Whoever asks
// meanwhile is told of one of them.
func TestOtherWhileBranchesRing(t *testing.T) {
	caller := new(dialog.Dialog)
	dialog.Tie(caller, new(dialog.Dialog))
	done := make(chan struct{})
	go func() { // ends by itself
		defer close(done)
		for range 100000 {
			dialog.Tie(caller, new(dialog.Dialog))
		}
	}()
	for {
		if caller.Other() == nil {
			t.Fatal("the caller has no other leg for a moment")
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
