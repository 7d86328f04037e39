package main

import (
	"context"
	"log/slog"

	"github.com/goparley/parley/internal/bench/rig"
	"github.com/goparley/parley/ua"
)

// agentCallee is a server on package ua, the smallest that a user would write.
func agentCallee(addr string) error {
	_, err := ua.New("sip:uas@"+addr, &ua.Config{
		Listen: []string{"udp:" + addr},
		Logger: slog.New(slog.DiscardHandler),
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			in.Ring(ctx)
			in.Answer(ctx, voice{})
		},
	})
	return err
}

// agentCaller is a client on package ua.
func agentCaller(addr string) (rig.Place, error) {
	agent, err := ua.New("sip:uac@"+addr, &ua.Config{Listen: []string{"udp:" + addr}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, to string) (func(context.Context) error, error) {
		call, err := agent.Invite(ctx, "sip:uas@"+to, &ua.InviteOptions{Streams: []ua.Stream{voice{}}})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) error { return call.Hangup(ctx) }, nil
	}, nil
}
