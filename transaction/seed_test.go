package transaction

import (
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
