package main

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

// load is what SIPp does: n calls, or requests, at some rate.
type load struct {
	scenario string // file of testdata; "" is SIPp's own caller
	n, rate  int
	hold     time.Duration // of a call
	callee   string        // whom a proxy forwards to; "" without a proxy
}

// outcome is what has come of it.
type outcome struct {
	ok, failed, again int           // again: retransmissions
	took, cpu         time.Duration // cpu of the client
}

// run loads a server, by a proxy unless via is "". SIPp is ended 20 s after it
// should have.
func (l load) run(ctx context.Context, to, via, scratch string) (outcome, error) {
	limit := time.Duration(float64(l.n)/float64(l.rate)*float64(time.Second)) + l.hold + 20*time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	stats := filepath.Join(scratch, "stats.csv")
	os.Remove(stats) // of the load before
	args := []string{"-sn", "uac"}
	if l.scenario != "" {
		args = []string{"-sf", filepath.Join(scratch, l.scenario)}
	}
	from, err := freeAddr()
	if err != nil {
		return outcome{}, err
	}
	if via != "" {
		args = append(args, "-rsa", via)
	}
	args = append(args, "-i", "127.0.0.1", "-p", portOf(from), "-m", strconv.Itoa(l.n), "-r", strconv.Itoa(l.rate), "-l", "100000",
		"-d", strconv.FormatInt(l.hold.Milliseconds(), 10), "-nostdin", "-trace_stat", "-stf", stats, "-fd", "1", "-buff_size", "1048576",
		"-max_recv_loops", "1000", "-deadcall_wait", "0", to)
	cmd := exec.CommandContext(ctx, "sipp", args...)
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	runErr := cmd.Run() // an error if a call has failed: the statistics say so
	o := outcome{took: time.Since(began)}
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
	o.ok, o.failed, o.again = get("SuccessfulCall(C)"), get("FailedCall(C)"), get("Retransmissions(C)")
	o.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return o, nil
}
