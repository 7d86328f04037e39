package trace

import "github.com/goparley/parley/sip/transport"

// Join returns a Trace that tells each of several what it is told, in the order
// given. Those that are nil are left out.
func Join(traces ...*transport.Trace) *transport.Trace {
	var received, sent, malformed []func(transport.TraceMessage)
	add := func(to *[]func(transport.TraceMessage), f func(transport.TraceMessage)) {
		if f != nil {
			*to = append(*to, f)
		}
	}
	for _, t := range traces {
		if t != nil {
			add(&received, t.Received)
			add(&sent, t.Sent)
			add(&malformed, t.Malformed)
		}
	}
	return &transport.Trace{Received: all(received), Sent: all(sent), Malformed: all(malformed)}
}

// all returns a function that calls several, nil if there is none.
func all(funcs []func(transport.TraceMessage)) func(transport.TraceMessage) {
	if len(funcs) == 0 {
		return nil
	}
	return func(m transport.TraceMessage) {
		for _, f := range funcs {
			f(m)
		}
	}
}
