// Command transport measures what peers cost a server that is one
// transport.Endpoint: memory for each connection that says nothing, and time for
// each datagram that is answered.
//
//	go run ./transport
//	go run ./transport -only conns -tcp 1000
//	go run ./transport -only datagrams -rounds 31
//
// Server and load are processes of their own on 127.0.0.0/8, so what is measured
// is the server's alone. The load is bounded in count and time, and a server
// ends when the pipe to it does.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	only := flag.String("only", "", "conns or datagrams; both if empty")
	tcp := flag.Int("tcp", 10000, "connections over TCP")
	others := flag.Int("others", 2000, "connections over each of TLS, WS and WSS")
	rounds := flag.Int("rounds", 15, "rounds in which all servers of datagrams take turns")
	slice := flag.Duration("slice", 200*time.Millisecond, "time of a server in a round")
	ahead := flag.Int("ahead", 16, "requests that each of the 8 sockets of the load has under way")
	live := flag.Int("live", 32, "MB of memory that a server of datagrams has in use besides")
	role := flag.String("serve", "", "be a server of that kind; for the command itself")
	sockets := flag.Int("sockets", 1, "UDP sockets that share a port; with -serve")
	profile := flag.String("profile", "", "with -serve, write profiles to files of that name with .cpu and .heap; else pass it on")
	flag.Parse()
	if flag.NArg() > 0 || *rounds < 1 || *ahead < 1 || *ahead > 100 || *tcp < 0 || *others < 0 {
		flag.Usage()
		os.Exit(2)
	}
	if *role != "" {
		if err := serve(*role, *sockets, *live, *profile); err != nil {
			log.Fatalf("server %s: %v", *role, err)
		}
		return
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	fmt.Printf("%s, %d processors\n", runtime.Version(), runtime.NumCPU())
	if *only != "datagrams" {
		if err := conns(ctx, *tcp, *others, *profile); err != nil {
			log.Fatal(err)
		}
	}
	if *only != "conns" {
		if err := datagrams(ctx, load{*rounds, *slice, *ahead, *live}, *profile); err != nil {
			log.Fatal(err)
		}
	}
}
