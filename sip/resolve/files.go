package resolve

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// reread is how long the files of the system are taken to be as they were.
const reread = 5 * time.Second

// files is what the system's files say: resolv.conf and hosts. The zero value
// reads those in /etc, when something is asked.
type files struct {
	dir string // "": /etc

	mu         sync.Mutex
	looked     time.Time // when it was last looked whether they have changed
	confStamp  stamp
	hostsStamp stamp
	known      bool  // conf is what resolv.conf says
	err        error // or why that is not known
	conf       config
	hosts      map[string][]netip.Addr
}

// config is whom to ask. No servers at all says that the system has no
// resolv.conf.
type config struct {
	servers  []netip.AddrPort
	timeout  time.Duration
	attempts int
	tcp      bool // UDP is not asked
}

// total returns how long all servers may take together.
func (c config) total() time.Duration {
	all := float64(c.timeout) * float64(c.attempts) * float64(len(c.servers))
	return time.Duration(min(all, float64(time.Hour)))
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// config returns what resolv.conf says, or said when it could last be read, or
// why it never could.
func (f *files) config() (config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	return f.conf, f.err
}

// lookup returns the addresses of a name of one family, and whether the name
// stands in the hosts file. There it has no SRV records and no NAPTR records,
// which also go by names below it.
func (f *files) lookup(name string, t Type) ([]netip.Addr, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for t == TypeSRV && strings.HasPrefix(name, "_") {
		_, name, _ = strings.Cut(name, ".")
	}
	all, known := f.hosts[name]
	var addrs []netip.Addr
	for _, addr := range all {
		if t == TypeA && addr.Is4() || t == TypeAAAA && addr.Is6() {
			addrs = append(addrs, addr)
		}
	}
	return addrs, known
}

// refresh reads what has changed. What cannot be read, for want of open files
// maybe, stays as it was, and is tried again with the next question: that a
// system has no resolv.conf is for it to say. f.mu is held.
func (f *files) refresh() {
	if !f.looked.IsZero() && time.Since(f.looked) < reread {
		return
	}
	dir := f.dir
	if dir == "" {
		dir = "/etc"
	}
	text, changed, confErr := f.confStamp.read(filepath.Join(dir, "resolv.conf"))
	switch {
	case confErr != nil && !f.known:
		f.err = confErr
	case confErr == nil && (changed || !f.known):
		f.conf, f.known, f.err = parseResolvConf(text), true, nil
	}
	text, changed, hostsErr := f.hostsStamp.read(filepath.Join(dir, "hosts"))
	if hostsErr == nil && changed {
		f.hosts = parseHosts(text)
	}
	if confErr == nil && hostsErr == nil {
		f.looked = time.Now()
	}
}

// maxFile is how much of a file is read, in bytes. Some block a long list of
// names by their hosts file; what is longer than this is none.
const maxFile = 1 << 20

// read returns what is in a file if it is another than before: nil if there is
// no such file any more.
func (s *stamp) read(path string) (text []byte, changed bool, err error) {
	was := *s
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		*s = stamp{}
		return nil, was != *s, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	now := stamp{info.ModTime(), info.Size()}
	if now == was {
		return nil, false, nil
	}
	text, err = io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, false, err
	}
	if len(text) == maxFile { // the last line may go on
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	*s = now
	return append([]byte{}, text...), true, nil
}

// parseResolvConf reads resolv.conf as its manual page has it. Names are
// complete in SIP, so that search lists have no part in it.
func parseResolvConf(b []byte) config {
	c := config{timeout: timeout, attempts: attempts}
	if b == nil {
		return c
	}
	for fields := range lines(b) {
		switch fields[0] {
		case "nameserver":
			if addr, err := netip.ParseAddr(append(fields, "")[1]); err == nil && len(c.servers) < 3 {
				c.servers = append(c.servers, netip.AddrPortFrom(addr.Unmap(), 53))
			}
		case "options":
			for _, option := range fields[1:] {
				if option == "use-vc" || option == "usevc" || option == "tcp" { // three systems' words for it
					c.tcp = true
				}
				what, number, _ := strings.Cut(option, ":")
				switch n, err := strconv.Atoi(number); {
				case err != nil:
				case what == "timeout":
					c.timeout = time.Duration(min(max(n, 1), 30)) * time.Second
				case what == "attempts":
					c.attempts = min(max(n, 1), 5)
				}
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)}
	}
	return c
}

// parseHosts reads a hosts file: on each line an address and its names.
func parseHosts(b []byte) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	for fields := range lines(b) {
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			hosts[name] = append(hosts[name], addr.Unmap())
		}
	}
	return hosts
}

// lines yields the fields of each line that has some, without comments.
func lines(b []byte) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range bytes.Lines(b) {
			if i := bytes.IndexAny(line, "#;"); i >= 0 {
				line = line[:i]
			}
			if fields := strings.Fields(string(line)); len(fields) > 0 && !yield(fields) {
				return
			}
		}
	}
}
