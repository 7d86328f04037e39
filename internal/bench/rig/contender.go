package rig

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Contender is a program that is measured.
type Contender struct {
	Name  string
	Begin func(name, addr string) (*Process, error)

	// Load has a load come to it that is running. nil means that SIPp calls it.
	Load func(ctx context.Context, p *Process, l Load, scratch string) (Outcome, error)

	*Process // while it runs
}

// Role returns what begins a contender that is this program with -serve.
func Role(role, profile string, env ...string) func(name, addr string) (*Process, error) {
	return func(_, addr string) (*Process, error) { return StartRole(role, addr, env, "-profile", profile) }
}

// run has a load come to it, or go by it.
func (c *Contender) run(ctx context.Context, l Load, scratch string) (Outcome, error) {
	switch {
	case c.Load != nil:
		return c.Load(ctx, c.Process, l, scratch)
	case l.Callee == "":
		return l.Run(ctx, c.Addr, "", scratch)
	}
	return l.Run(ctx, l.Callee, c.Addr, scratch)
}

// StartAll starts those contenders whose name has one of the parts of only in it,
// divided by commas; "" means all. Those that are not to be had on this machine are
// left out, with a word. With an error there may be some to stop all the same.
func StartAll(ctx context.Context, all []*Contender, only string) (running []*Contender, err error) {
	for _, c := range all {
		if only != "" && !anyOf(c.Name, only) {
			continue
		}
		addr, err := FreeAddr()
		if err != nil {
			return running, err
		}
		if c.Process, err = c.Begin(c.Name, addr); err != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", c.Name, err)
			continue
		}
		running = append(running, c)
		if c.in != nil { // it has said so
			continue
		}
		if err := Answers(ctx, addr); err != nil {
			return running, fmt.Errorf("%s: %w", c.Name, err)
		}
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

// StopAll stops them.
func StopAll(all []*Contender) {
	for _, c := range all {
		c.Stop()
	}
}

// Answers waits until the port of a server is taken: nothing is to be bound there
// then.
func Answers(ctx context.Context, addr string) error {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		pc, err := net.ListenPacket("udp4", addr)
		if err != nil {
			return nil
		}
		pc.Close()
		if err := Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("does not listen")
}

// Pause waits.
func Pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// PortOf returns the port of an address.
func PortOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// Unpack writes a file of testdata to a folder, with the address of a server in
// place of ADDR, and returns its name there.
func Unpack(testdata embed.FS, dir, name, addr string) (string, error) {
	text, err := testdata.ReadFile("testdata/" + name)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, name)
	return file, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "ADDR", addr)), 0o644)
}

// Sofia starts a server that the Makefile of a command has built on Sofia-SIP, with
// its URL as the argument.
func Sofia(command, bin string) func(name, addr string) (*Process, error) {
	return func(name, addr string) (*Process, error) {
		for _, file := range []string{command + "/c/" + bin, "c/" + bin} {
			path, err := filepath.Abs(file)
			if err == nil {
				_, err = os.Stat(path)
			}
			if err == nil {
				return Start(name, addr, nil, path, "sip:"+addr+";transport=udp")
			}
		}
		return nil, fmt.Errorf("not there: make -C %s/c", command)
	}
}
