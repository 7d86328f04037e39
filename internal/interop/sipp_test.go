package interop_test

import (
	"fmt"
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip/siptest"
)

// The scripts that fit together are held against each other.
func TestSIPpScripts(t *testing.T) {
	interop.Need(t)
	for _, pair := range []struct {
		caller, callee string
		transport      string
		host           string
		calls          int
		rawCaller      bool
		perCall        bool
	}{
		{caller: "uac", callee: "uas", calls: 40},
		{caller: "uac", callee: "uas", calls: 5, transport: "tcp"},
		{caller: "uac", callee: "uas", calls: 5, transport: "tcp", perCall: true, host: "::1"},
		{caller: "uac", callee: "uas", calls: 5, transport: "tls"},
		{caller: "uac", callee: "uas", calls: 5, transport: "tls", perCall: true, host: "::1"},
		{caller: "uac_cancel", callee: "uas_cancel"},
		{caller: "uac_refused", callee: "uas_refuse"},
		{caller: "uac_info", callee: "uas_info", calls: 5},
		{caller: "uac_info", callee: "uas_info", calls: 5, transport: "tcp"},
		{caller: "uac_late_ack", callee: "uas", rawCaller: true},
	} {
		t.Run(fmt.Sprintf("%s-%s %s %s per call %t", pair.caller, pair.callee, pair.transport, pair.host, pair.perCall), func(t *testing.T) {
			t.Parallel()
			tls := &interop.TunnelOptions{Authority: siptest.NewAuthority(), AskCert: true}
			opts := interop.SIPpOptions{Host: pair.host, Transport: pair.transport, Calls: pair.calls, TLS: tls}
			callee := interop.StartSIPp(t, pair.callee, &opts)
			opts.Target, opts.Raw, opts.PerCall = callee.Addr, pair.rawCaller, pair.perCall
			caller := interop.StartSIPp(t, pair.caller, &opts)
			for side, got := range map[string]interop.SIPpStats{"caller": caller.Wait(t), "callee": callee.Wait(t)} {
				if want := max(pair.calls, 1); got.Successful != want || got.Failed != 0 {
					t.Errorf("%s: %d calls succeeded and %d failed, want %d and 0", side, got.Successful, got.Failed, want)
				}
			}
		})
	}
}
