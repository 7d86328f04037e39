package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// child is a process that runs a server.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr netip.AddrPort
}

// startChild starts a server, which says where it listens. With procs it gets
// that GOMAXPROCS.
func startChild(role string, sockets, procs, live int, profile string) (*child, error) {
	bin, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-serve", role, "-sockets", strconv.Itoa(sockets), "-live", strconv.Itoa(live)}
	if profile != "" {
		args = append(args, "-profile", fmt.Sprintf("%s.%s%d", profile, role, sockets))
	}
	c := &child{cmd: exec.Command(bin, args...)}
	c.cmd.Stderr = os.Stderr
	if procs > 0 {
		c.cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := c.out.ReadString('\n')
	if err == nil {
		c.addr, err = netip.ParseAddrPort(strings.TrimSpace(line))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("server %s: %w", role, err), c.stop())
	}
	return c, nil
}

// usage asks what the server uses. Memory is tidied up first if that is what is
// asked about.
func (c *child) usage(tidy bool) (u usage, err error) {
	if _, err := fmt.Fprintln(c.in, tidy); err != nil {
		return u, err
	}
	line, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &u)
	}
	return u, err
}

// stop ends the process, which has nothing left to do without its input.
func (c *child) stop() error {
	c.in.Close()
	return c.cmd.Wait()
}
