package main

import (
	"github.com/goparley/parley/internal/bench/rig"
)

// A role is a callee or a caller that this program can be.
type role struct {
	begin func(addr string) error
	order func([]byte) (any, error) // of a caller
}

var roles = map[string]role{
	"floor":       {begin: rig.Floor},
	"transaction": {begin: rig.Transaction},
	"dialog":      {begin: dialogCallee},
	"ua":          {begin: agentCallee},
	"sipgo":       {begin: rig.Sipgo},

	"by-hand":       {begin: func(string) error { return nil }, order: rig.CallByHand},
	"dialog-caller": newCaller(dialogCaller),
	"ua-caller":     newCaller(agentCaller),
	"sipgo-caller":  newCaller(sipgoCaller),
}

// newCaller makes the role of one who begins as a stack that can place calls.
func newCaller(begin func(addr string) (rig.Place, error)) role {
	var follow func([]byte) (any, error)
	return role{
		begin: func(addr string) error {
			place, err := begin(addr)
			follow = rig.Follow(place)
			return err
		},
		order: func(text []byte) (any, error) { return follow(text) },
	}
}

// callees are those that answer.
func callees(profile string) []*rig.Contender {
	return []*rig.Contender{
		{Name: "floor", Begin: rig.Role("floor", profile)},
		{Name: "parley transaction", Begin: rig.Role("transaction", profile)},
		{Name: "parley dialog", Begin: rig.Role("dialog", profile)},
		{Name: "parley ua", Begin: rig.Role("ua", profile)},
		{Name: "sipgo dialogs", Begin: rig.Role("sipgo", profile)},
		{Name: "Sofia-SIP nua", Begin: rig.Sofia("call", "nua_uas")},
	}
}

// callers are those that call.
func callers(profile string) []*rig.Contender {
	return []*rig.Contender{
		{Name: "by hand", Begin: rig.Role("by-hand", profile), Load: rig.Call},
		{Name: "parley dialog caller", Begin: rig.Role("dialog-caller", profile), Load: rig.Call},
		{Name: "parley ua caller", Begin: rig.Role("ua-caller", profile), Load: rig.Call},
		{Name: "sipgo dialogs caller", Begin: rig.Role("sipgo-caller", profile), Load: rig.Call},
	}
}
