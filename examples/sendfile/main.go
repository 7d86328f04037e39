// Sendfile sends files, and takes those that others send. What was broken off, by whatever end, goes on
// where it was when the same file is sent again.
//
//	go run ./examples/sendfile -listen udp:127.0.0.1:5070,tcp:127.0.0.1:5070 -dir inbox sip:bob@127.0.0.1
//	go run ./examples/sendfile -to sip:bob@127.0.0.1:5070 report.pdf photo.jpg
//
// With -relay they go by an MSRP relay, such as examples/msrprelay, as those of examples/chat do.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

func main() {
	listen := flag.String("listen", "udp:0.0.0.0:5060,tcp:0.0.0.0:5060", "where to listen for calls, which need TCP if they are of several files")
	proxy := flag.String("proxy", "", "URI of an outbound proxy, such as sip:127.0.0.1:5060; none does not register")
	relay := flag.String("relay", "", "URI of an MSRP relay, such as msrps://relay.example.com;tcp")
	password := flag.String("password", "", "password, there and at the proxy")
	secure := flag.Bool("tls", false, "send by TLS")
	from := flag.String("from", "sip:anonymous@anonymous.invalid", "who sends")
	to := flag.String("to", "", "URI of whom to send files to")
	dir := flag.String("dir", "", "directory for files that others send")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second ^C does not wait for the peer
	log.SetFlags(0)
	cfg := &ua.Config{Listen: strings.Split(*listen, ","), Proxy: *proxy, Password: *password}
	msrpCfg := &msrp.Config{}
	if *relay != "" {
		aor := *from
		if *dir != "" {
			aor = flag.Arg(0)
		}
		user, _, _ := strings.Cut(strings.TrimPrefix(aor, "sip:"), "@")
		msrpCfg.Relays = []msrp.Relay{{URI: *relay, Username: user, Password: *password}}
	}
	var err error
	switch {
	case *to != "" && *dir == "" && flag.NArg() > 0:
		err = send(ctx, *from, *to, cfg, msrpCfg, msrp.SessionConfig{TLS: *secure}, flag.Args())
	case *dir != "" && *to == "" && flag.NArg() == 1:
		err = receive(ctx, flag.Arg(0), *dir, cfg, msrpCfg)
	default:
		log.Fatal("usage: sendfile [flags] -to sip:whom@domain file...\n       sendfile [flags] -dir directory sip:user@domain")
	}
	if err != nil {
		log.Fatal(err)
	}
}

// send sends files in one call, which ends when all are there.
func send(ctx context.Context, from, to string, cfg *ua.Config, msrpCfg *msrp.Config, session msrp.SessionConfig, paths []string) error {
	ep, err := msrp.New(msrpCfg)
	if err != nil {
		return err
	}
	defer ep.Close()
	var pushes []*file.Sender
	opts := &ua.InviteOptions{}
	for _, path := range paths {
		push, err := file.Push(ep, path, &file.SendOptions{Progress: bar(path), Session: session})
		if err != nil {
			return err
		}
		pushes, opts.Streams = append(pushes, push), append(opts.Streams, push)
	}
	agent, err := ua.New(from, cfg)
	if err != nil {
		return err
	}
	defer agent.Close() // which hangs up, and gives that two seconds
	if _, err := agent.Invite(ctx, to, opts); err != nil {
		return err
	}
	failed := 0
	for _, push := range pushes {
		if err := push.Wait(ctx); err != nil {
			complain(err)
			failed++
		} else {
			show("sent "+push.Description().Selector.Name, push.Description())
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files not sent", failed, len(pushes))
	}
	return nil
}

// receive takes the files of all calls, until it is interrupted.
func receive(ctx context.Context, aor, path string, cfg *ua.Config, msrpCfg *msrp.Config) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	dir, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	ep, err := msrp.New(msrpCfg)
	if err != nil {
		return err
	}
	defer ep.Close()
	cfg.OnInvite = func(ctx context.Context, inv *ua.Invitation) {
		var files []*file.Receiver
		var streams []ua.Stream
		for _, offered := range offers(inv) {
			in := file.Receive(ep, dir, &file.ReceiveOptions{MaxSize: 1 << 40, Progress: bar(file.SafeName(offered.Selector.Name))})
			files, streams = append(files, in), append(streams, in)
		}
		call, err := inv.Answer(ctx, streams...)
		if err != nil {
			complain(err)
			return
		}
		for _, in := range files {
			// The peer may not know how to, and then the file comes from its beginning.
			if err := in.Resume(ctx, call.Renegotiate); err != nil {
				complain(err)
			}
		}
		failed := false
		for _, in := range files {
			if path, err := in.Wait(ctx); err != nil {
				complain(err)
				failed = true
			} else {
				show("received "+path, in.Description())
			}
		}
		if failed { // and who was killed does not hang up
			call.Hangup(ctx) // nor confirms that
		}
		<-call.Done()
	}
	agent, err := ua.New(aor, cfg)
	if err != nil {
		return err
	}
	defer agent.Close()
	if cfg.Proxy != "" {
		if _, err := agent.Register(ctx, nil); err != nil {
			return err
		}
	}
	fmt.Println("waiting for files")
	<-ctx.Done()
	return nil
}

// offers returns the files that a call is about, each of which takes a stream.
func offers(inv *ua.Invitation) (files []file.Description) {
	body, err := sip.FindBody(inv.Request(), "application/sdp", "session")
	if err != nil {
		return nil
	}
	offer, err := sdp.Parse(body.Content)
	if err != nil {
		return nil
	}
	for _, section := range offer.Media {
		if kind, d, err := file.Read(section, nil); err == nil && kind == file.KindPush {
			files = append(files, d)
		}
	}
	return files
}

// bar returns a func that shows how far a file is, on one line for all files.
func bar(name string) func(n, size int64) {
	last, percent := int64(0), int64(-1)
	return func(n, size int64) {
		if n < last || n > last+64<<10 { // what is there already is not sent again
			fmt.Printf("\r\x1b[K%s goes on at octet %d\n", name, n+1)
		}
		last = n
		if now := 100 * n / max(size, 1); now != percent {
			percent = now
			fmt.Printf("\r\x1b[K%s %3d%%", name, percent)
		}
	}
}

// show says that a file is there, and the hashes that it was checked against.
func show(what string, d file.Description) {
	fmt.Printf("\r\x1b[K%s: %d octets\n", what, d.Selector.Size)
	for _, hash := range d.Selector.Hashes {
		fmt.Println(" ", hash)
	}
}

// complain says what went wrong, in place of how far a file is.
func complain(err error) {
	fmt.Print("\r\x1b[K")
	log.Print(err)
}
