package interop_test

import (
	"testing"

	"github.com/goparley/parley/internal/interop"
)

// The scripts that fit together are held against each other.
func TestSIPpScripts(t *testing.T) {
	interop.Need(t)
	for _, pair := range []struct {
		caller, callee string
		transport      string
		calls          int
		rawCaller      bool
	}{
		{caller: "uac", callee: "uas", calls: 40},
		{caller: "uac", callee: "uas", calls: 5, transport: "tcp"},
		{caller: "uac_cancel", callee: "uas_cancel"},
		{caller: "uac_late_ack", callee: "uas", rawCaller: true},
	} {
		t.Run(pair.caller+"-"+pair.callee+"-"+pair.transport, func(t *testing.T) {
			t.Parallel()
			callee := interop.StartSIPp(t, pair.callee, &interop.SIPpOptions{Transport: pair.transport, Calls: pair.calls})
			caller := interop.StartSIPp(t, pair.caller, &interop.SIPpOptions{Target: callee.Addr, Transport: pair.transport, Calls: pair.calls, Raw: pair.rawCaller})
			for side, got := range map[string]interop.SIPpStats{"caller": caller.Wait(t), "callee": callee.Wait(t)} {
				if want := max(pair.calls, 1); got.Successful != want || got.Failed != 0 {
					t.Errorf("%s: %d calls succeeded and %d failed, want %d and 0", side, got.Successful, got.Failed, want)
				}
			}
		})
	}
}
