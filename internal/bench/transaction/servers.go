package main

import (
	"embed"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/goparley/parley/internal/bench/rig"
)

//go:embed testdata
var testdata embed.FS

// roles are the servers that this program can be.
var roles = map[string]func(addr string) error{
	"floor":  rig.Floor,
	"parley": rig.Transaction,
	"sipgo":  rig.Sipgo,
	"relay": func(addr string) error {
		_, err := relay(rig.ServerConfig(addr))
		return err
	},
	"forwarder": func(addr string) error {
		_, err := newForwarder(rig.ServerConfig(addr), addr)
		return err
	},
	"sipgo-proxy": sipgoProxy,
}

// variants are our server with other settings of the runtime.
func variants(profile string) []*rig.Contender {
	list := []*rig.Contender{}
	for _, env := range []string{"", "GOMAXPROCS=1", "GOGC=400", "GOGC=off GOMEMLIMIT=256MiB", "GOMAXPROCS=1 GOGC=400"} {
		list = append(list, &rig.Contender{Name: strings.TrimSpace("parley " + env), Begin: rig.Role("parley", profile, strings.Fields(env)...)})
	}
	return list
}

// servers are those that answer. options has them be good for OPTIONS alone, if
// they must choose.
func servers(scratch, profile string, options bool) []*rig.Contender {
	return []*rig.Contender{
		{Name: "floor", Begin: rig.Role("floor", profile)},
		{Name: "parley", Begin: rig.Role("parley", profile)},
		{Name: "sipgo", Begin: rig.Role("sipgo", profile)},
		{Name: "Sofia-SIP nta", Begin: rig.Sofia("transaction", "nta_uas")},
		{Name: "Kamailio tm", Begin: func(name, addr string) (*rig.Process, error) {
			return kamailio(scratch, "kamailio-uas.cfg", name, addr)
		}},
		{Name: "SIPp", Begin: func(name, addr string) (*rig.Process, error) {
			scenario := []string{"-sn", "uas"}
			if options {
				file, err := rig.Unpack(testdata, scratch, "uas-options.xml", addr)
				if err != nil {
					return nil, err
				}
				scenario = []string{"-sf", file}
			}
			return rig.SIPpServer(name, addr, scenario...)
		}},
	}
}

// proxies are those that forward.
func proxies(scratch, profile string) []*rig.Contender {
	return []*rig.Contender{
		{Name: "Kamailio", Begin: func(name, addr string) (*rig.Process, error) {
			return kamailio(scratch, "kamailio-proxy.cfg", name, addr)
		}},
		{Name: "parley transaction/proxy", Begin: rig.Role("relay", profile)},
		{Name: "parley transaction, by hand", Begin: rig.Role("forwarder", profile)},
		{Name: "sipgo", Begin: rig.Role("sipgo-proxy", profile)},
	}
}

// kamailio starts one with the allocators that are for speed; the default ones of
// Debian are for debugging.
func kamailio(scratch, config, name, addr string) (*rig.Process, error) {
	file, err := rig.Unpack(testdata, scratch, config, addr)
	if err != nil {
		return nil, err
	}
	bin, err := exec.LookPath("kamailio")
	if err != nil {
		bin = "/usr/sbin/kamailio"
	}
	return rig.Start(name, addr, nil, bin, "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", "2048", "-f", file, "-Y", scratch, "-P", filepath.Join(scratch, config+".pid"))
}
