package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// child is the process that runs the peers written in C, a slice of time of one
// of them whenever it is asked to.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// startChild starts the program bin on a message. It says which peers it has, a
// line each of work and name, and an empty line.
func startChild(bin, message string) (*child, []peer, error) {
	c := &child{cmd: exec.Command(bin, message)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, nil, err
	}
	var peers []peer
	for {
		line, err := c.out.ReadString('\n')
		if err != nil {
			c.stop()
			return nil, nil, fmt.Errorf("peers of %s: %w", bin, err)
		}
		kind, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			return c, peers, nil
		}
		i := len(peers)
		peers = append(peers, peer{work(kind), name, func(slice time.Duration) (sample, error) {
			s, err := c.run(i, slice)
			if err != nil {
				return s, fmt.Errorf("%s: %s: %w", kind, name, err)
			}
			return s, nil
		}})
	}
}

// run asks for one slice of time of one peer.
func (c *child) run(i int, slice time.Duration) (s sample, err error) {
	if _, err := fmt.Fprintln(c.in, i, slice.Nanoseconds()); err != nil {
		return s, err
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		return s, err
	}
	if _, err := fmt.Sscan(line, &s.ns, &s.allocs, &s.bytes); err != nil {
		return s, fmt.Errorf("%q: %w", strings.TrimSpace(line), err)
	}
	return s, nil
}

// stop ends the process, which has nothing left to do without its input.
func (c *child) stop() {
	_ = c.in.Close()
	_ = c.cmd.Wait()
}
