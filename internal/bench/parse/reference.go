package main

import (
	"bufio"
	"bytes"

	"github.com/valyala/fasthttp"
)

// referenceTasks do less than a SIP parser has to.
func referenceTasks(msg []byte) []task {
	dst := make([]byte, len(msg))
	return []task{
		{reference, "copy (Go)", func() int { return copy(dst, msg) }},
		{reference, "bytes.IndexByte of line ends (Go)", func() int {
			lines := 0
			for rest := msg; ; lines++ {
				i := bytes.IndexByte(rest, '\n')
				if i < 0 {
					return lines
				}
				rest = rest[i+1:]
			}
		}},
		{reference, "fasthttp, same headers (Go)", fastHTTP(msg)},
	}
}

// fastHTTP reads the same header lines under the start line of HTTP.
func fastHTTP(msg []byte) func() int {
	_, headers, _ := bytes.Cut(msg, []byte("\n"))
	line := "POST /sip/bob/example.com/5060/udp/xx HTTP/1.1\r\n"
	response := bytes.HasPrefix(msg, []byte("SIP/"))
	if response {
		line = "HTTP/1.1 200 OK\r\n"
	}
	text := append([]byte(line), headers...)
	var (
		src = bytes.NewReader(nil)
		buf = bufio.NewReaderSize(src, 16384)
		req fasthttp.RequestHeader
		res fasthttp.ResponseHeader
	)
	return func() int {
		src.Reset(text)
		buf.Reset(src)
		if response {
			return done(res.Read(buf))
		}
		return done(req.Read(buf))
	}
}
