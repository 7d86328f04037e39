package interop

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// BrowserOptions are the options of StartBrowser.
type BrowserOptions struct {
	Server   string // "ws://" or "wss://" and the address of the SIP server
	User     string // user part of its address; empty: "dave"
	Password string // empty: the user's at Kamailio, "davepw"
	Domain   string // of its address; empty: "sip.test"
	KeyHash  string // of a certificate that it takes although no authority that it knows has issued it
	KeyLog   string // file to which it writes the secrets of its TLS connections, for the Judge; empty: none
}

// Browser is Chromium, with JsSIP in a page, or with one that speaks MSRP.
type Browser struct {
	URI string // its address: sip:dave@sip.test; of one that speaks MSRP, the relay's

	page     *httptest.Server
	commands chan any
	inbox
}

// StartBrowser starts a browser, which connects to the server and registers.
// Expect "connected" and "registered".
func StartBrowser(t testing.TB, opts *BrowserOptions) *Browser {
	t.Helper()
	user := cmp.Or(opts.User, "dave")
	b := &Browser{URI: "sip:" + user + "@" + cmp.Or(opts.Domain, "sip.test")}
	dir := t.TempDir()
	b.open(t, dir, bundle(t, dir), opts)
	return b
}

// StartMSRPBrowser starts a browser with a page that speaks MSRP in WebSocket without JsSIP. It connects to the
// relay and asks it for a URI. Expect "connected" and "path", whose Param is the path to the page. It takes every
// message, and reports on it.
func StartMSRPBrowser(t testing.TB, relay *Relay, transport string) *Browser {
	t.Helper()
	b := &Browser{URI: relay.URI(transport)}
	dir := t.TempDir()
	page := filepath.Join(dir, "page.js")
	config(t, "browser/msrp.js", page)
	b.open(t, dir, page, &BrowserOptions{Server: transport + "://" + relay.At(transport), KeyHash: relay.KeyHash})
	return b
}

// open opens a page that runs a script, and tells it to start.
func (b *Browser) open(t testing.TB, dir, script string, opts *BrowserOptions) {
	t.Helper()
	user := cmp.Or(opts.User, "dave")
	b.who, b.commands = b.URI, make(chan any, 16)
	chromium := program(t, "chromium", "chromium")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><meta charset="utf-8"><title>Parley</title><script src="/page.js"></script>`)
	})
	mux.HandleFunc("GET /page.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, script) })
	mux.HandleFunc("GET /commands", b.serveCommands)
	mux.HandleFunc("POST /event", b.takeEvent)
	b.page = httptest.NewServer(mux)
	t.Cleanup(func() {
		close(b.commands)
		b.page.CloseClientConnections()
		b.page.Close()
	})
	b.command(t, map[string]string{
		"do": "start", "server": opts.Server, "uri": b.URI, "user": user, "password": cmp.Or(opts.Password, user+"pw"),
	})

	args := []string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--user-data-dir=" + filepath.Join(dir, "profile"),
	}
	if opts.KeyHash != "" {
		args = append(args, "--ignore-certificate-errors-spki-list="+opts.KeyHash)
	}
	if opts.KeyLog != "" {
		args = append(args, "--ssl-key-log-file="+opts.KeyLog)
	}
	start(t, dir, []string{"HOME=" + dir}, chromium, append(args, b.page.URL)...)
}

// Message sends a text to a URI, or by MSRP along a path. Expect "delivered" or "undelivered", with the
// status of the response.
func (b *Browser) Message(t testing.TB, to, text string) {
	t.Helper()
	b.command(t, map[string]string{"do": "message", "to": to, "text": text})
}

// Call calls a URI. Expect "callFailed", with the status of the response. Whoever
// calls the browser gets 486; expect "call" and "callFailed".
func (b *Browser) Call(t testing.TB, to string) {
	t.Helper()
	b.command(t, map[string]string{"do": "call", "to": to})
}

// Unregister removes the binding. Expect "unregistered".
func (b *Browser) Unregister(t testing.TB) {
	t.Helper()
	b.command(t, map[string]string{"do": "unregister"})
}

// Stop unregisters and closes the connection. Expect "disconnected".
func (b *Browser) Stop(t testing.TB) { t.Helper(); b.command(t, map[string]string{"do": "stop"}) }

func (b *Browser) command(t testing.TB, c any) {
	t.Helper()
	select {
	case b.commands <- c:
	default:
		t.Fatalf("%s has not taken the commands before", b.URI)
	}
}

// serveCommands is where the page hears what to do.
func (b *Browser) serveCommands(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case c, open := <-b.commands:
			text, err := json.Marshal(c)
			if !open || err != nil {
				return
			}
			fmt.Fprintf(w, "data: %s\n\n", text)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// takeEvent is where the page says what happened.
func (b *Browser) takeEvent(w http.ResponseWriter, r *http.Request) {
	var e Event
	if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.add(e)
}

// bundle makes one script of the page and JsSIP.
func bundle(t testing.TB, dir string) string {
	t.Helper()
	modules := os.Getenv("PARLEY_NODE_MODULES")
	if _, err := os.Stat(filepath.Join(modules, "jssip")); err != nil {
		t.Fatal("no JsSIP: set PARLEY_NODE_MODULES to where it is installed, see docs/interop.md")
	}
	page := filepath.Join(dir, "page.js")
	config(t, "browser/page.js", page)
	script := filepath.Join(dir, "bundle.js")
	cmd := exec.CommandContext(t.Context(), program(t, "esbuild", "esbuild"), page, "--bundle", "--outfile="+script, "--log-level=warning")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("esbuild: %v\n%s", err, out)
	}
	return script
}
