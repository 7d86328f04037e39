package main

import (
	"context"
	"crypto/rand"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/bench/rig"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

var session = sip.Body{Type: "application/sdp", Content: rig.Session}

// large is for 32 s of transactions at the highest rates.
var large = transaction.Config{MaxBytes: 4 << 30}

// dialogCallee is a server on package dialog, which negotiates nothing.
func dialogCallee(addr string) error {
	_, err := dialog.Listen(rig.ServerConfig(addr), &dialog.Config{
		Transaction: large,
		OnInvite: func(_ context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			in.Start(session)
		},
	})
	return err
}

// dialogCaller is a client on package dialog.
func dialogCaller(addr string) (rig.Place, error) {
	from, err := sip.ParseURI("sip:uac@" + addr)
	if err != nil {
		return nil, err
	}
	layer, err := dialog.Listen(rig.ServerConfig(addr), &dialog.Config{Transaction: large})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, to string) (func(context.Context) error, error) {
		uri, err := sip.ParseURI("sip:uas@" + to)
		if err != nil {
			return nil, err
		}
		s, resp, err := layer.Invite(ctx, sip.NewRequest(sip.INVITE, uri, sip.MaxForwards(70), sip.From{URI: from}.WithTag(rand.Text()), sip.To{URI: uri},
			sip.CallID(rand.Text()), sip.CSeq{Seq: 1, Method: sip.INVITE}, session), nil)
		if err == nil && s == nil {
			err = resp.Status()
		}
		if err == nil {
			err = s.Ack(ctx)
		}
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return s.Bye(ctx) }, nil
	}, nil
}
