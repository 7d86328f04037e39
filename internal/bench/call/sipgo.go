package main

import (
	"context"
	"log/slog"

	"github.com/emiago/sipgo"
	sipgosip "github.com/emiago/sipgo/sip"

	"github.com/goparley/parley/internal/bench/rig"
)

// sipgoCaller is a client on the dialogs of github.com/emiago/sipgo.
func sipgoCaller(addr string) (rig.Place, error) {
	slog.SetLogLoggerLevel(slog.LevelError)
	agent, err := sipgo.NewUA()
	if err != nil {
		return nil, err
	}
	server, err := sipgo.NewServer(agent, sipgo.WithServerLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	host, port, err := sipgosip.ParseAddr(addr)
	if err != nil {
		return nil, err
	}
	client, err := sipgo.NewClient(agent, sipgo.WithClientAddr(addr))
	if err != nil {
		return nil, err
	}
	dialogs := sipgo.NewDialogClientCache(client, sipgosip.ContactHeader{Address: sipgosip.Uri{Scheme: "sip", User: "uac", Host: host, Port: port}})
	server.OnBye(func(req *sipgosip.Request, tx sipgosip.ServerTransaction) { dialogs.ReadBye(req, tx) })
	udp, err := rig.ListenUDP(addr)
	if err != nil {
		return nil, err
	}
	go server.ServeUDP(udp) // ends with the process
	return func(ctx context.Context, to string) (func(context.Context) error, error) {
		var uri sipgosip.Uri
		if err := sipgosip.ParseUri("sip:uas@"+to, &uri); err != nil {
			return nil, err
		}
		d, err := dialogs.Invite(ctx, uri, []byte(rig.Session), sipgosip.NewHeader("Content-Type", "application/sdp"))
		if err != nil {
			return nil, err
		}
		if err := d.WaitAnswer(ctx, sipgo.AnswerOptions{}); err != nil {
			return nil, err
		}
		if err := d.Ack(ctx); err != nil {
			return nil, err
		}
		return func(ctx context.Context) error {
			defer d.Close()
			return d.Bye(ctx)
		}, nil
	}, nil
}
