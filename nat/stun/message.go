package stun

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// Sizes in bytes (RFC 8489 sections 5 and 14).
const (
	headerSize      = 20
	idSize          = 12
	fingerprintSize = 8   // with the header of the attribute
	maxText         = 763 // the longest USERNAME that anyone has to read
)

// cookie stands in every message since RFC 5389.
const cookie = 0x2112A442

// Kinds of messages: the method Binding in its classes (RFC 8489 figure 3).
const (
	bindingRequest = 0x0001
	bindingSuccess = 0x0101
	bindingError   = 0x0111
)

// Attributes (RFC 8489 section 18.3). Those below 0x8000 must be understood by
// whoever gets them.
const (
	mappedAddress          = 0x0001
	username               = 0x0006
	messageIntegrity       = 0x0008
	errorCode              = 0x0009
	unknownAttributes      = 0x000A
	realm                  = 0x0014
	nonce                  = 0x0015
	messageIntegritySHA256 = 0x001C
	passwordAlgorithm      = 0x001D
	userhash               = 0x001E
	xorMappedAddress       = 0x0020
	optional               = 0x8000
	fingerprint            = 0x8028
)

// IsMessage reports whether a datagram is a STUN message, going by its header:
// two zero bits, the magic cookie, and a length that is a multiple of four and
// what is there (RFC 8489 section 5). That tells STUN and SIP apart on one
// socket (RFC 5626 section 8): what begins with a byte of 0 or 1 and is not a
// STUN message is no SIP message either.
func IsMessage(b []byte) bool {
	if len(b) < headerSize || b[0]&0xC0 != 0 || binary.BigEndian.Uint32(b[4:]) != cookie {
		return false
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	return length%4 == 0 && length == len(b)-headerSize
}

// message is a STUN message as it came. It shares the memory of the datagram.
type message struct {
	kind          uint16
	id            [idSize]byte
	body          []byte // the attributes, each whole
	fingerprinted bool   // FINGERPRINT is there, and right
}

// read returns the message in a datagram. What is malformed or has a wrong
// FINGERPRINT is no message, and is dropped (RFC 8489 section 6.3).
func read(b []byte) (m message, ok bool) {
	if !IsMessage(b) {
		return message{}, false
	}
	m.kind = binary.BigEndian.Uint16(b)
	m.id = [idSize]byte(b[8:headerSize])
	m.body = b[headerSize:]
	for rest := m.body; len(rest) > 0; {
		a, ok := cut(&rest)
		switch {
		case !ok, a.kind == username && len(a.value) > maxText:
			return message{}, false
		case a.kind != fingerprint:
			continue
		case len(rest) > 0, len(a.value) != 4, // it is the last (section 14.7)
			binary.BigEndian.Uint32(a.value) != checksum(b[:len(b)-fingerprintSize]):
			return message{}, false
		}
		m.fingerprinted = true
	}
	return m, true
}

// attribute is one attribute, without its padding.
type attribute struct {
	kind  uint16
	value []byte
}

// cut takes the first attribute off b, unless it is longer than b.
func cut(b *[]byte) (attribute, bool) {
	if len(*b) < 4 {
		return attribute{}, false
	}
	kind, length := binary.BigEndian.Uint16(*b), int(binary.BigEndian.Uint16((*b)[2:]))
	padded := 4 + (length+3)&^3
	if padded > len(*b) {
		return attribute{}, false
	}
	value := (*b)[4 : 4+length]
	*b = (*b)[padded:]
	return attribute{kind, value}, true
}

// attributes returns those that count: behind MESSAGE-INTEGRITY, which nothing
// protects, only the other integrity and FINGERPRINT do (RFC 8489 sections
// 14.5 and 14.6).
func (m *message) attributes() iter.Seq[attribute] {
	return func(yield func(attribute) bool) {
		sealed := false
		for rest := m.body; len(rest) > 0; {
			a, ok := cut(&rest)
			if !ok {
				return
			}
			integrity := a.kind == messageIntegrity || a.kind == messageIntegritySHA256
			if sealed && !integrity && a.kind != fingerprint {
				continue
			}
			sealed = sealed || integrity
			if !yield(a) {
				return
			}
		}
	}
}

// unknown reports whether the attribute is one that we have to understand and
// do not. Those of RFC 8489 we do, if only to leave them alone where they do
// not belong (section 6.3).
func (a attribute) unknown() bool {
	switch a.kind {
	case mappedAddress, username, messageIntegrity, errorCode, unknownAttributes, realm, nonce,
		messageIntegritySHA256, passwordAlgorithm, userhash, xorMappedAddress:
		return false
	}
	return a.kind < optional
}

// appendHeader begins a message; finish ends it.
func appendHeader(b []byte, kind uint16, id [idSize]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, cookie)
	return append(b, id[:]...)
}

func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 { // the header is a multiple of four, too
		b = append(b, 0)
	}
	return b
}

// finish writes the length of the message that b is, and its FINGERPRINT if it
// is to have one.
func finish(b []byte, fingerprinted bool) []byte {
	length := len(b) - headerSize
	if fingerprinted {
		length += fingerprintSize
	}
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	if fingerprinted {
		sum := checksum(b)
		b = binary.BigEndian.AppendUint16(b, fingerprint)
		b = binary.BigEndian.AppendUint16(b, 4)
		b = binary.BigEndian.AppendUint32(b, sum)
	}
	return b
}

// checksum returns the FINGERPRINT of a message that is b before it (RFC 8489
// section 14.7).
func checksum(b []byte) uint32 { return crc32.ChecksumIEEE(b) ^ 0x5354554e }
