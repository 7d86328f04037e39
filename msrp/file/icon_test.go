package file_test

import (
	"context"
	"testing"

	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A preview stands in the INVITE beside the offer, which has its cid URL (RFC 5547 section 8.8). It is optional,
// so that who has no use for it takes the call.
func TestIconInACall(t *testing.T) {
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(p.bob.ep, root(t), &file.ReceiveOptions{Accept: func(_ context.Context, offered file.Description) error {
			icon, err := sip.FindID(inv.Request(), offered.Icon)
			if err != nil || icon.Body() != "small" {
				t.Errorf("the icon %q: %v", offered.Icon, err)
			}
			return nil
		}})
		if _, err := inv.Answer(ctx, in); err != nil {
			t.Error(err)
			return
		}
		_, err := in.Wait(p.ctx)
		p.got <- receipt{err: err}
	}, func(p *place) {
		push := p.push(written(t, "a.jpg", content(1, 1000)), &file.SendOptions{Icon: "cid:id2@alicepc.example.com"})
		call, err := p.alice.Invite(p.ctx, "sip:bob@192.0.2.2;transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{push}, Parts: []*sip.Part{
			sip.NewPart(sip.Body{Type: "image/jpeg", Content: "small"}, sip.ContentID("id2@alicepc.example.com"),
				sip.ContentDisposition{Type: "icon", Params: ";handling=optional"}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
	})
}
