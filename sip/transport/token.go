package transport

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// ErrToken says that a flow token is not one of ours (RFC 5626 section 5.3.1:
// answer it with 403).
var ErrToken = errors.New("transport: flow token is not ours")

// ErrElsewhere says that a flow token is signed with our key and that another
// Endpoint has made it, as far as can be told: that of another node with the same
// Config.FlowKey, or of an earlier run of the program. It is an ErrNoFlow.
var ErrElsewhere = fmt.Errorf("%w: another endpoint has made its token", ErrNoFlow)

// tokenKey is what flow tokens are signed with, and connections are numbered by
// in them.
type tokenKey struct {
	key []byte
	run [8]byte // unlike that of any other Endpoint with this key
}

const tokenMAC = 16 // bytes of the HMAC in a token

// tokenText writes tokens in characters that no part of a URI escapes.
var tokenText = base64.RawURLEncoding

func newTokenKey(key []byte) tokenKey {
	t := tokenKey{key: bytes.Clone(key)}
	if len(key) == 0 {
		t.key = make([]byte, 32)
		rand.Read(t.key)
	}
	rand.Read(t.run[:])
	return t
}

// sum returns the HMAC over what a token says.
func (t *tokenKey) sum(what []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write(what)
	return h.Sum(nil)[:tokenMAC]
}

// Kinds of tokens.
const (
	tokenUDP  = 'u'
	tokenConn = 'c'
	tokenNone = 'n'
)

// FlowToken returns a text that stands for a flow, to be put into the user part
// of a Path or Record-Route (RFC 5626 section 5.2) and to be read by FlowOf of
// the same Endpoint. It is signed, so nobody can make one. That of the zero Flow
// stands for no flow, and says no more than that the URI is of our making. It is
// "" for a Flow of another Endpoint.
func (e *Endpoint) FlowToken(f Flow) string {
	var what []byte
	switch via := f.via.(type) {
	case *udpSocket:
		if via.e != e {
			return ""
		}
		what = append(what, tokenUDP)
		what = appendAddr(what, f.LocalAddr())
		what = appendAddr(what, f.remote)
	case *conn:
		if via.e != e {
			return ""
		}
		// Not its addresses: another connection may have the same some day.
		what = append(what, tokenConn)
		what = append(what, e.tokens.run[:]...)
		what = binary.BigEndian.AppendUint64(what, via.id)
	case nil:
		what = append(what, tokenNone)
	default:
		return ""
	}
	return tokenText.EncodeToString(append(e.tokens.sum(what), what...))
}

// FlowOf returns the flow that a token stands for. ErrToken means that it is no
// token of ours, ErrNoFlow that its connection is gone: requests that come with
// them are to be answered with 403 and 430 (RFC 5626 section 5.3.1). Where nodes
// share a Config.FlowKey an ErrNoFlow that is ErrElsewhere may have a flow there;
// for a flow of UDP it means that no socket of ours has its local address.
func (e *Endpoint) FlowOf(token string) (Flow, error) {
	if len(token) > 128 {
		return Flow{}, ErrToken
	}
	b, err := tokenText.DecodeString(token)
	if err != nil || len(b) <= tokenMAC || tokenText.EncodeToString(b) != token {
		return Flow{}, ErrToken // also another spelling of one of ours
	}
	what := b[tokenMAC:]
	if subtle.ConstantTimeCompare(b[:tokenMAC], e.tokens.sum(what)) != 1 {
		return Flow{}, ErrToken
	}
	switch kind, rest := what[0], what[1:]; {
	case kind == tokenNone:
		return Flow{}, nil
	case kind == tokenUDP:
		local, rest := cutAddr(rest)
		remote, _ := cutAddr(rest)
		if f := e.udpFlow(local, remote); f.via != nil {
			return f, nil
		}
	case len(rest) == 16 && [8]byte(rest) == e.tokens.run:
		e.mu.Lock()
		defer e.mu.Unlock()
		if c := e.byID[binary.BigEndian.Uint64(rest[8:])]; c != nil {
			return c.flow(), nil
		}
		return Flow{}, ErrNoFlow
	}
	return Flow{}, ErrElsewhere
}

// udpFlow returns the flow between two addresses, the zero Flow if there is no
// socket for the one that is ours.
func (e *Endpoint) udpFlow(local, remote netip.AddrPort) Flow {
	for _, s := range e.udp {
		if s.local == local {
			return Flow{via: s, remote: remote}
		}
	}
	for _, s := range e.udp {
		if s.isAt(local) {
			return Flow{s, local.Addr(), remote}
		}
	}
	return Flow{}
}

// appendAddr appends an address with its length.
func appendAddr(b []byte, a netip.AddrPort) []byte {
	text, _ := a.MarshalBinary() // never fails
	return append(append(b, byte(len(text))), text...)
}

// cutAddr takes off what appendAddr has appended. What it reads is signed.
func cutAddr(b []byte) (a netip.AddrPort, rest []byte) {
	if len(b) == 0 || len(b) <= int(b[0]) {
		return a, nil
	}
	n := int(b[0]) + 1
	a.UnmarshalBinary(b[1:n])
	return a, b[n:]
}
