package frame_test

import (
	"fmt"
	"io"
	"strings"

	"github.com/goparley/parley/msrp/frame"
)

func ExampleReader() {
	stream := strings.NewReader("MSRP a786hjs2 SEND\r\n" +
		"To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp\r\n" +
		"From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp\r\n" +
		"Message-ID: 87652491\r\n" +
		"Byte-Range: 1-23/23\r\n" +
		"Content-Type: text/plain\r\n" +
		"\r\n" +
		"Hey Bob, are you there?\r\n" +
		"-------a786hjs2$\r\n")
	r := frame.NewReader(stream)
	for {
		head, err := r.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(head.Method, head.MessageID, head.Range)
		for {
			piece, err := r.Body()
			if err == io.EOF {
				break
			}
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Printf("%s\n", piece)
		}
		fmt.Printf("%c\n", r.Flag())
	}
	// Output:
	// SEND 87652491 1-23/23
	// Hey Bob, are you there?
	// $
	// EOF
}

func ExampleHead_Append() {
	head := frame.Head{
		ID:          "a786hjs2", // in a program frame.AppendID makes one
		Method:      frame.SEND,
		To:          "msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp",
		From:        "msrp://atlanta.example.com:7654/jshA7weztas;tcp",
		MessageID:   "87652491",
		Range:       frame.Range{Start: 1, End: frame.Unknown, Total: frame.Unknown},
		ContentType: "text/plain",
		HasBody:     true,
	}
	b, err := head.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	b = head.AppendEnd(append(b, "Hey Bob"...), frame.Continued)
	fmt.Print(strings.ReplaceAll(string(b), "\r\n", "\n"))
	// Output:
	// MSRP a786hjs2 SEND
	// To-Path: msrp://biloxi.example.com:12763/kjhd37s2s20w2a;tcp
	// From-Path: msrp://atlanta.example.com:7654/jshA7weztas;tcp
	// Message-ID: 87652491
	// Byte-Range: 1-*/*
	// Content-Type: text/plain
	//
	// Hey Bob
	// -------a786hjs2+
}

func ExampleHead_Response() {
	request, _, _, err := frame.Parse([]byte("MSRP abcd SEND\r\n" +
		"To-Path: msrp://b.example.com:2855/x;tcp\r\n" +
		"From-Path: msrps://relay.example.com:2855/z;tcp msrp://a.example.com:2855/y;tcp\r\n" +
		"-------abcd$\r\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	response := request.Response(frame.StatusNoSession, request.To)
	b, err := response.Append(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(strings.ReplaceAll(string(response.AppendEnd(b, frame.Complete)), "\r\n", "\n"))
	// Output:
	// MSRP abcd 481 Session Does Not Exist
	// To-Path: msrps://relay.example.com:2855/z;tcp
	// From-Path: msrp://b.example.com:2855/x;tcp
	// -------abcd$
}

func ExampleURI_Equal() {
	a, err := frame.ParseURI("msrp://Host.example.com:8493/asfd34;tcp")
	if err != nil {
		fmt.Println(err)
		return
	}
	b := frame.URI{Host: "host.example.com", Port: 8493, SessionID: "asfd34", Transport: "tcp"}
	fmt.Println(a.Equal(b))
	b.SessionID = "ASFD34"
	fmt.Println(a.Equal(b))
	// Output:
	// true
	// false
}

func ExampleParsePath() {
	path, err := frame.ParsePath("msrps://relay.example.com:2855/x;tcp msrp://192.0.2.1:7654/y;tcp")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("next hop:", path[0].Host)
	fmt.Println("peer:", path[len(path)-1])
	// Output:
	// next hop: relay.example.com
	// peer: msrp://192.0.2.1:7654/y;tcp
}
