package rig

import (
	"log/slog"

	"github.com/emiago/sipgo"
	sipgosip "github.com/emiago/sipgo/sip"
)

// Sipgo is a server on github.com/emiago/sipgo, with its dialogs: they are
// how it answers an INVITE.
func Sipgo(addr string) error {
	slog.SetLogLoggerLevel(slog.LevelError)
	ua, err := sipgo.NewUA()
	if err != nil {
		return err
	}
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	client, err := sipgo.NewClient(ua)
	if err != nil {
		return err
	}
	host, port, err := sipgosip.ParseAddr(addr)
	if err != nil {
		return err
	}
	dialogs := sipgo.NewDialogServerCache(client, sipgosip.ContactHeader{Address: sipgosip.Uri{Scheme: "sip", User: "uas", Host: host, Port: port}})

	server.OnOptions(func(req *sipgosip.Request, tx sipgosip.ServerTransaction) {
		tx.Respond(sipgosip.NewResponseFromRequest(req, 200, "OK", nil))
	})
	server.OnInvite(func(req *sipgosip.Request, tx sipgosip.ServerTransaction) {
		d, err := dialogs.ReadInvite(req, tx)
		if err != nil {
			tx.Respond(sipgosip.NewResponseFromRequest(req, 400, "Bad Request", nil))
			return
		}
		d.Respond(180, "Ringing", nil)
		d.RespondSDP([]byte(Session))
	})
	server.OnAck(func(req *sipgosip.Request, tx sipgosip.ServerTransaction) { dialogs.ReadAck(req, tx) })
	server.OnBye(func(req *sipgosip.Request, tx sipgosip.ServerTransaction) { dialogs.ReadBye(req, tx) })

	udp, err := ListenUDP(addr)
	if err != nil {
		return err
	}
	go server.ServeUDP(udp) // ends with the process
	return nil
}
