package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

//go:embed testdata
var testdata embed.FS

// unpack writes the files of testdata to a folder, with the address of a server
// in place of ADDR.
func unpack(dir, name, addr string) (string, error) {
	text, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "ADDR", addr)), 0o644)
}

// contender is a server that is measured.
type contender struct {
	name  string
	start func(name, addr string) (*process, error)
	*process
}

// run has a load come to a server, or go by a proxy.
func (c *contender) run(ctx context.Context, l load, scratch string) (outcome, error) {
	if l.callee == "" {
		return l.run(ctx, c.addr, "", scratch)
	}
	return l.run(ctx, l.callee, c.addr, scratch)
}

// variants are our server with other settings of the runtime.
func variants(profile string) []*contender {
	list := []*contender{}
	for _, env := range []string{"", "GOMAXPROCS=1", "GOGC=400", "GOGC=off GOMEMLIMIT=256MiB", "GOMAXPROCS=1 GOGC=400"} {
		list = append(list, &contender{name: strings.TrimSpace("parley " + env), start: func(_, addr string) (*process, error) {
			return startRole("parley", addr, strings.Fields(env), "-profile", profile)
		}})
	}
	return list
}

// servers are those that answer. options has them be good for OPTIONS alone, if
// they must choose.
func servers(scratch, profile string, options bool) []*contender {
	role := func(role string) func(string, string) (*process, error) {
		return func(_, addr string) (*process, error) { return startRole(role, addr, nil, "-profile", profile) }
	}
	return []*contender{
		{name: "floor", start: role("floor")},
		{name: "parley", start: role("parley")},
		{name: "sipgo", start: role("sipgo")},
		{name: "Sofia-SIP nta", start: func(name, addr string) (*process, error) {
			bin, err := sofia()
			if err != nil {
				return nil, err
			}
			return start(name, addr, nil, bin, "sip:"+addr+";transport=udp")
		}},
		{name: "Kamailio tm", start: func(name, addr string) (*process, error) {
			return kamailio(scratch, "kamailio-uas.cfg", name, addr)
		}},
		{name: "SIPp", start: func(name, addr string) (*process, error) {
			scenario := []string{"-sn", "uas"}
			if options {
				file, err := unpack(scratch, "uas-options.xml", addr)
				if err != nil {
					return nil, err
				}
				scenario = []string{"-sf", file}
			}
			return sippServer(name, addr, scenario...)
		}},
	}
}

// proxies are those that forward.
func proxies(scratch, profile string) []*contender {
	role := func(role string) func(string, string) (*process, error) {
		return func(_, addr string) (*process, error) { return startRole(role, addr, nil, "-profile", profile) }
	}
	return []*contender{
		{name: "Kamailio", start: func(name, addr string) (*process, error) {
			return kamailio(scratch, "kamailio-proxy.cfg", name, addr)
		}},
		{name: "parley transaction/proxy", start: role("relay")},
		{name: "parley transaction, by hand", start: role("forwarder")},
		{name: "sipgo", start: role("sipgo-proxy")},
	}
}

func sippServer(name, addr string, scenario ...string) (*process, error) {
	argv := append([]string{"sipp"}, scenario...)
	return start(name, addr, []string{"TERM=xterm"}, append(argv, "-i", "127.0.0.1", "-p", portOf(addr), "-nostdin", "-buff_size", "1048576")...)
}

// kamailio starts one with the allocators that are for speed; the default ones of
// Debian are for debugging.
func kamailio(scratch, config, name, addr string) (*process, error) {
	file, err := unpack(scratch, config, addr)
	if err != nil {
		return nil, err
	}
	bin, err := exec.LookPath("kamailio")
	if err != nil {
		bin = "/usr/sbin/kamailio"
	}
	return start(name, addr, nil, bin, "-DD", "-E", "-x", "tlsf", "-X", "tlsf", "-m", "2048", "-f", file, "-Y", scratch, "-P", filepath.Join(scratch, config+".pid"))
}

// sofia finds what c/Makefile has built.
func sofia() (string, error) {
	for _, bin := range []string{"transaction/c/nta_uas", "c/nta_uas"} {
		if path, err := filepath.Abs(bin); err == nil {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", errors.New("not there: make -C transaction/c")
}

// startAll starts those contenders whose name has only in it. Those that are not
// to be had on this machine are left out, with a word.
func startAll(ctx context.Context, all []*contender, only string) (running []*contender, err error) {
	for _, c := range all {
		if only != "" && !anyOf(c.name, only) {
			continue
		}
		addr, err := freeAddr()
		if err != nil {
			return running, err
		}
		if c.process, err = c.start(c.name, addr); err != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", c.name, err)
			continue
		}
		if err := answers(ctx, addr); err != nil {
			return append(running, c), fmt.Errorf("%s: %w", c.name, err)
		}
		running = append(running, c)
	}
	if len(running) == 0 {
		err = errors.New("no server to measure")
	}
	return running, err
}

func anyOf(name, only string) bool {
	for part := range strings.SplitSeq(only, ",") {
		if strings.Contains(strings.ToLower(name), strings.ToLower(part)) {
			return true
		}
	}
	return false
}

func stopAll(all []*contender) {
	for _, c := range all {
		c.stop()
	}
}

// answers waits until the port of a server is taken: nothing is to be bound
// there then.
func answers(ctx context.Context, addr string) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		pc, err := net.ListenPacket("udp4", addr)
		if err != nil {
			return nil
		}
		pc.Close()
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("does not listen")
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
