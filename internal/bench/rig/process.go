package rig

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Process is a server, or several processes that are one.
type Process struct {
	name string
	Addr string
	cmd  *exec.Cmd
	in   io.WriteCloser // of one of ours
	out  *bufio.Reader
}

// Start starts a program as a process group of its own, which ends with us. addr is
// where it is told to listen.
func Start(name, addr string, env []string, argv ...string) (*Process, error) {
	p := &Process{name: name, Addr: addr, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.cmd.Env = append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// StartRole starts this program with -serve as a server of some kind, which says
// when it is there: see Serve.
func StartRole(role, addr string, env []string, args ...string) (*Process, error) {
	bin, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &Process{name: role, Addr: addr, cmd: exec.Command(bin, append([]string{"-serve", role, "-addr", addr}, args...)...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.cmd.Stderr = os.Stderr
	p.cmd.Env = append(os.Environ(), env...)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	if _, err := p.out.ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("server %s: %w", role, err), p.Stop())
	}
	return p, nil
}

// Stop ends the process and those that it started.
func (p *Process) Stop() error {
	if p.in != nil { // it has nothing left to do without its input
		p.in.Close()
		return p.cmd.Wait()
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.cmd.Wait() // says that it was killed
	return nil
}

// Ask has one of ours say what its runtime holds; tidied up first, if so wanted. Of
// another program it says nothing.
func (p *Process) Ask(tidy bool) (r Use, err error) {
	if p.in == nil {
		return r, nil
	}
	return r, p.order(strconv.FormatBool(tidy), &r)
}

// Order has one of ours do what its role takes orders for, and waits for the
// result.
func (p *Process) Order(order, result any) error {
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	return p.order(string(text), result)
}

func (p *Process) order(text string, result any) error {
	if _, err := fmt.Fprintln(p.in, text); err != nil {
		return err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	var reply reply
	if err := json.Unmarshal(line, &reply); err != nil {
		return err
	}
	if reply.Error != "" {
		return fmt.Errorf("%s: %s", p.name, reply.Error)
	}
	return json.Unmarshal(reply.Result, result)
}

// CPU returns the CPU time of the process and those that it started.
func (p *Process) CPU() (sum time.Duration, err error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		// The clock of a process: clock_getcpuclockid(3).
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
			return 0, fmt.Errorf("clock of process %d: %w", pid, err)
		}
		sum += time.Duration(t.Nano())
	}
	return sum, nil
}

// Memory returns the bytes that are in memory, what several processes share
// counted once.
func (p *Process) Memory() (sum int, err error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(text), "\nPss:")
		kb, err := strconv.Atoi(strings.Fields(rest + " ?")[0])
		if err != nil {
			return 0, fmt.Errorf("memory of process %d: %w", pid, err)
		}
		sum += kb << 10
	}
	return sum, nil
}

// pids returns the members of the process group.
func (p *Process) pids() ([]int, error) {
	group := p.cmd.Process.Pid
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// The name, in parentheses, may have blanks in it.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if fields[0] != "Z" && fields[2] == strconv.Itoa(group) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("%s has ended", p.name)
	}
	return pids, nil
}

// FreeAddr returns an address on 127.0.0.1 whose port nobody uses now.
func FreeAddr() (string, error) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer pc.Close()
	return pc.LocalAddr().String(), nil
}
