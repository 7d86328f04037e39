package main

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

// process is a server, or several processes that are one.
type process struct {
	name string
	addr string
	cmd  *exec.Cmd
	in   io.WriteCloser // of one of ours
	out  *bufio.Reader
}

// start starts a program as a process group of its own, which ends with us.
func start(name, addr string, env []string, argv ...string) (*process, error) {
	p := &process{name: name, addr: addr, cmd: exec.Command(argv[0], argv[1:]...)}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.cmd.Env = append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// startRole starts this program as a server of some kind, which says when it is
// there.
func startRole(role, addr string, env []string, args ...string) (*process, error) {
	bin, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{name: role, addr: addr, cmd: exec.Command(bin, append([]string{"-serve", role, "-addr", addr}, args...)...)}
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
		return nil, errors.Join(fmt.Errorf("server %s: %w", role, err), p.stop())
	}
	return p, nil
}

// stop ends the process and those that it started.
func (p *process) stop() error {
	if p.in != nil { // it has nothing left to do without its input
		p.in.Close()
		return p.cmd.Wait()
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.cmd.Wait() // says that it was killed
	return nil
}

// ask has one of ours say what its runtime holds; tidied up first, if so wanted.
func (p *process) ask(tidy bool) (r runtimeUse, err error) {
	if p.in == nil {
		return r, nil
	}
	if _, err := fmt.Fprintln(p.in, tidy); err != nil {
		return r, err
	}
	line, err := p.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	return r, err
}

// cpu returns the CPU time of the process and those that it started.
func (p *process) cpu() (sum time.Duration, err error) {
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

// memory returns the bytes that are in memory, what several processes share
// counted once.
func (p *process) memory() (sum int, err error) {
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
func (p *process) pids() ([]int, error) {
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

// freeAddr returns an address on 127.0.0.1 whose port nobody uses now.
func freeAddr() (string, error) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer pc.Close()
	return pc.LocalAddr().String(), nil
}
