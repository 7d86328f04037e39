package rig

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// Load is so many calls, or requests, at some rate a second.
type Load struct {
	Scenario string // of SIPp, a file in the scratch folder; "" is SIPp's own caller
	N, Rate  int
	Hold     time.Duration // of a call
	Callee   string        // whom a proxy forwards to; "" without a proxy
	Called   string        // whom callers call
}

// Outcome is what has come of it.
type Outcome struct {
	OK, Failed, Again int           // Again: retransmissions
	Late              time.Duration // of Pace: how late its clock was at worst, for want of a processor
}

// Run has SIPp load a server, by a proxy unless via is "". SIPp is ended 20 s after it
// should have.
func (l Load) Run(ctx context.Context, to, via, scratch string) (Outcome, error) {
	limit := time.Duration(float64(l.N)/float64(l.Rate)*float64(time.Second)) + l.Hold + 20*time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := []string{"-sn", "uac"}
	if l.Scenario != "" {
		args = []string{"-sf", filepath.Join(scratch, l.Scenario)}
	}
	from, err := FreeAddr()
	if err != nil {
		return Outcome{}, err
	}
	if via != "" {
		args = append(args, "-rsa", via)
	}
	stats := filepath.Join(scratch, "stats-"+PortOf(from)+".csv")
	defer os.Remove(stats)
	args = append(args, "-i", "127.0.0.1", "-p", PortOf(from), "-m", strconv.Itoa(l.N), "-r", strconv.Itoa(l.Rate), "-l", "100000",
		"-d", strconv.FormatInt(l.Hold.Milliseconds(), 10), "-nostdin", "-trace_stat", "-stf", stats, "-fd", "1", "-buff_size", "1048576",
		"-max_recv_loops", "1000", "-deadcall_wait", "0", to)
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runErr := cmd.Run() // an error if a call has failed: the statistics say so
	var o Outcome
	f, err := os.Open(stats)
	if err != nil {
		return o, fmt.Errorf("sipp has left no statistics: %w, %w", runErr, err)
	}
	defer f.Close()
	table := csv.NewReader(f)
	table.Comma, table.FieldsPerRecord, table.LazyQuotes = ';', -1, true
	rows, err := table.ReadAll()
	if err != nil || len(rows) < 2 {
		return o, fmt.Errorf("statistics of sipp: %d rows, %w", len(rows), err)
	}
	get := func(column string) (n int) {
		if i := slices.Index(rows[0], column); i >= 0 && i < len(rows[len(rows)-1]) {
			n, _ = strconv.Atoi(rows[len(rows)-1][i])
		}
		return n
	}
	o.OK, o.Failed, o.Again = get("SuccessfulCall(C)"), get("FailedCall(C)"), get("Retransmissions(C)")
	return o, nil
}

// SIPpServer starts SIPp as a server.
func SIPpServer(name, addr string, scenario ...string) (*Process, error) {
	argv := append([]string{"sipp"}, scenario...)
	return Start(name, addr, []string{"TERM=xterm"}, append(argv, "-i", "127.0.0.1", "-p", PortOf(addr), "-nostdin", "-buff_size", "1048576")...)
}
