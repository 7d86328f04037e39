package ua_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// INFO of a package that the agent does not take: who knows of packages, be it that they take
// none, says so by Recv-Info and in the 469 (RFC 6086 sections 4.2.2 and 5.2.2), and has INFO
// in Allow. Who does not know of them says nothing, and INFO is no method of theirs.
func TestInfoOfUnknownPackages(t *testing.T) {
	none := map[string]func(context.Context, ua.Info) error{}
	const serves = "Allow: ACK, BYE, CANCEL, OPTIONS, NOTIFY, INVITE, PRACK, UPDATE"
	for _, test := range []struct {
		name string
		cfg  ua.Config
		says string // INVITE, and the 2xx to it
		want sip.Status
		info string // what the answer to INFO says
	}{
		{"packages are not known", ua.Config{}, serves, 405, serves},
		{"none", ua.Config{InfoPackages: none}, serves + ", INFO; Recv-Info: ", 469, "Recv-Info: "},
		{"without a package alone", ua.Config{InfoPackages: takers(nil, "")}, serves + ", INFO; Recv-Info: ", 469, "Recv-Info: "},
		{"another", ua.Config{InfoPackages: takers(nil, "bar")}, serves + ", INFO; Recv-Info: bar", 469, "Recv-Info: bar"},
		{"a method of the program", ua.Config{Methods: map[sip.Method]func(context.Context, *ua.Request){
			sip.INFO: func(_ context.Context, r *ua.Request) { r.Reply(sip.StatusAccepted) },
		}}, serves + ", INFO", 202, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				test.cfg.OnInvite = func(ctx context.Context, in *ua.Invitation) {
					if got := said(in.Request(), "Allow", "Recv-Info"); got != test.says {
						t.Errorf("the INVITE says %q, want %q", got, test.says)
					}
					in.Answer(ctx, newStream(t))
				}
				newAgent(t, n, "192.0.2.2", "sip:bob@b.example", test.cfg)
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", test.cfg)
				opts := streams(newStream(t))
				opts.OnAnswer = func(_ *ua.Call, resp *sip.Response) {
					if got := said(resp, "Allow", "Recv-Info"); got != test.says {
						t.Errorf("the answer says %q, want %q", got, test.says)
					}
				}
				call, err := alice.Invite(t.Context(), bobURI, opts)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := call.Dialog().Do(t.Context(), sip.INFO, sip.InfoPackage{Name: "foo"})
				if err != nil || resp.Status() != test.want || said(resp, "Allow", "Recv-Info") != test.info {
					t.Errorf("INFO got %v, %v, want %v with %q", err, resp, test.want, test.info)
				}
			})
		})
	}
}
