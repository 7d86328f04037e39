package transaction

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// With the same seed a request has the same branch to the same target, by this
// program or the one that comes after it, and another one to another target or by
// another transport. A branch that is taken is not given twice.
func TestWithBranchSeed(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), nil)
		calls := 0
		branch := func(l *Layer, seed, to string) (branch string) {
			calls++ // the same request would be refused as merged
			ctx := WithBranch(WithBranchSeed(t.Context(), seed), "mark")
			ctx = WithSent(ctx, func(_ transport.Flow, out *sip.Request) { branch = out.Via().Branch() })
			if resp, err := l.Do(ctx, request(sip.MESSAGE, to, sip.CallID(strconv.Itoa(calls)))); err != nil || resp.Status() != sip.StatusNotImplemented {
				t.Fatalf("%v, %v", resp, err)
			}
			return branch
		}
		alice := listen(t, n.Host(aliceAddr), nil)
		first := branch(alice, "1", bobURI)
		if !strings.HasPrefix(first, cookie) || !strings.HasSuffix(first, ".mark") {
			t.Errorf("branch %s, want one that ends with .mark", first)
		}
		for name, other := range map[string]string{
			"one that is there": branch(alice, "1", bobURI),
			"another seed":      branch(alice, "2", bobURI),
			"another transport": branch(alice, "1", bobURI+";transport=tcp"),
		} {
			if other == first {
				t.Errorf("%s: the same branch", name)
			}
		}
		pass(time.Minute)
		alice.Close()
		alice = listen(t, n.Host(aliceAddr), nil)
		if again := branch(alice, "1", bobURI); again != first {
			t.Errorf("after a restart the branch is %s, want %s", again, first)
		}
	})
}

// Two requests at once with one seed, though it was to be for one of them: neither
// takes the other's branch, and each has its response.
func TestWithBranchSeedAtOnce(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		do := func(ctx context.Context, id string, done chan<- string) {
			resp, err := alice.Do(ctx, request(sip.OPTIONS, bobURI, sip.CallID(id)))
			if err != nil {
				t.Errorf("%s: %v", id, err)
				done <- ""
				return
			}
			done <- resp.CallID()
		}
		seeded := WithBranchSeed(t.Context(), "1")
		first, second := make(chan string, 1), make(chan string, 1)
		var requests []*sip.Request
		edits := 0
		go do(transport.WithEdits(seeded, func(context.Context, transport.Flow) ([]sip.Edit, error) {
			if edits++; edits == 1 { // the branch is chosen, and not yet taken
				go do(seeded, "second", second)
				requests = append(requests, bob.request(sip.OPTIONS))
			}
			return nil, nil
		}), "first", first)
		pass(100 * time.Millisecond)
		requests = append(requests, bob.request(sip.OPTIONS))
		if got := branches(requests...); got != "1 2" {
			t.Errorf("branches %s, want two", got)
		}
		for _, r := range requests {
			bob.send(reply(r, sip.StatusOK, "b"))
		}
		for want, done := range map[string]chan string{"first": first, "second": second} {
			if got := <-done; got != want {
				t.Errorf("%s: response to %q", want, got)
			}
		}
	})
}
