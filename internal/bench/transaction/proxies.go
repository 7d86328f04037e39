package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/emiago/sipgo"
	sipgosip "github.com/emiago/sipgo/sip"

	"github.com/goparley/parley/internal/bench/rig"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// relay is a stateful proxy on package transaction/proxy, which sends requests
// where they ask to go and stays on the path of dialogs.
func relay(tc *transport.Config) (*proxy.Proxy, error) {
	return proxy.Listen(tc, &proxy.Config{
		RecordRoute: true,
		Transaction: &transaction.Config{MaxBytes: 4 << 30},
		Handler:     func(tx *proxy.Server, req *sip.Request) { tx.Relay(req) },
	})
}

// forwarder is the same on package transaction alone, with what the load needs
// and no more: nothing is checked but Max-Forwards, and there is one transport.
type forwarder struct {
	self  sip.URI
	layer *transaction.Layer
}

func newForwarder(tc *transport.Config, addr string) (*forwarder, error) {
	self, err := sip.ParseURI("sip:" + addr + ";lr")
	if err != nil {
		return nil, err
	}
	f := &forwarder{self: self}
	f.layer, err = transaction.Listen(tc, &transaction.Config{
		Handler: f.forward, MaxBytes: 4 << 30, Merged: true,
		Timers: transaction.Timers{C: 200 * time.Second},
	})
	return f, err
}

func (f *forwarder) forward(tx *transaction.Server, req *sip.Request) {
	if req.MaxForwards() == 0 {
		tx.Reply(sip.StatusTooManyHops)
		return
	}
	edits := []sip.Edit{sip.MaxForwards(req.MaxForwards() - 1)}
	if route, err := sip.Get[sip.Route](req); err == nil && route.URI.Host == f.self.Host && route.URI.Port == f.self.Port {
		edits = append(edits, sip.Pop("Route"))
	}
	if req.Method() == sip.INVITE && req.To().Tag() == "" {
		edits = append(edits, sip.Push(sip.RecordRoute{URI: f.self}))
	}
	out := req.With(edits...)
	if req.Method() == sip.ACK { // for a 2xx, so part of no transaction
		tx.Layer().Send(tx.Context(), out)
		return
	}
	for resp, err := range tx.Layer().Responses(tx.Context(), out) {
		if err != nil {
			tx.Reply(sip.StatusRequestTimeout)
			return
		}
		tx.Respond(resp.With(sip.Pop("Via")))
	}
}

// sipgoProxy does so by the README of github.com/emiago/sipgo.
func sipgoProxy(addr string) error {
	slog.SetLogLoggerLevel(slog.LevelError)
	host, port, err := sipgosip.ParseAddr(addr)
	if err != nil {
		return err
	}
	ua, err := sipgo.NewUA()
	if err != nil {
		return err
	}
	server, err := sipgo.NewServer(ua, sipgo.WithServerLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	client, err := sipgo.NewClient(ua, sipgo.WithClientAddr(addr))
	if err != nil {
		return err
	}
	prepare := func(req *sipgosip.Request) {
		// Our entry comes off the Route, and the request goes to its target.
		if route := req.Route(); route != nil && route.Address.Host == host && route.Address.Port == port {
			req.RemoveHeader("Route")
		}
		to := *req.Recipient.Clone()
		if to.Port == 0 {
			to.Port = 5060
		}
		req.SetDestination(to.HostPort())
	}
	forward := func(req *sipgosip.Request, tx sipgosip.ServerTransaction) {
		prepare(req)
		options := []sipgo.ClientRequestOption{sipgo.ClientRequestAddVia, sipgo.ClientRequestDecreaseMaxForward}
		if req.IsInvite() {
			options = append(options, sipgo.ClientRequestAddRecordRoute)
		}
		out, err := client.TransactionRequest(context.Background(), req, options...)
		if err != nil {
			tx.Respond(sipgosip.NewResponseFromRequest(req, 500, "Server Internal Error", nil))
			return
		}
		defer out.Terminate()
		for {
			select {
			case resp, ok := <-out.Responses():
				if !ok {
					return
				}
				resp.SetDestination(req.Source())
				resp.RemoveHeader("Via")
				if err := tx.Respond(resp); err != nil || !resp.IsProvisional() {
					return
				}
			case <-out.Done():
				return
			case <-tx.Done():
				return
			}
		}
	}
	server.OnInvite(forward)
	server.OnBye(forward)
	server.OnAck(func(req *sipgosip.Request, _ sipgosip.ServerTransaction) {
		prepare(req)
		client.WriteRequest(req, sipgo.ClientRequestAddVia)
	})
	udp, err := rig.ListenUDP(addr)
	if err != nil {
		return err
	}
	go server.ServeUDP(udp) // ends with the process
	return nil
}

// newCallee starts whom the proxies forward to.
func newCallee(ctx context.Context, scratch string) (*rig.Process, error) {
	addr, err := rig.FreeAddr()
	if err != nil {
		return nil, err
	}
	file, err := rig.Unpack(testdata, scratch, "uas-dialog.xml", addr)
	if err != nil {
		return nil, err
	}
	callee, err := rig.SIPpServer("callee", addr, "-sf", file)
	if err != nil {
		return nil, err
	}
	if err := rig.Answers(ctx, addr); err != nil {
		callee.Stop()
		return nil, fmt.Errorf("callee: %w", err)
	}
	return callee, nil
}
