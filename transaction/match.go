package transaction

import (
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"

	"github.com/goparley/parley/sip"
)

// detached returns a method that does not keep the text alive that it was read
// from.
func detached(method sip.Method) sip.Method {
	for _, known := range [...]sip.Method{sip.INVITE, sip.ACK, sip.BYE, sip.CANCEL, sip.OPTIONS, sip.REGISTER} {
		if method == known {
			return known
		}
	}
	return sip.Method(strings.Clone(string(method)))
}

const cookie = "z9hG4bK" // RFC 3261 section 8.1.1.7

// branchID returns what a branch says after the magic cookie, in lower case:
// tokens are compared without regard to case (RFC 3261 section 7.3.1). It is ""
// if there is no cookie, or nothing after it, as with peers of RFC 2543.
func branchID(branch string) string {
	if len(branch) <= len(cookie) || !strings.EqualFold(branch[:len(cookie)], cookie) {
		return ""
	}
	return strings.ToLower(branch[len(cookie):])
}

// clientKey finds a client transaction by the branch we gave it. A CANCEL has
// the branch of its INVITE.
type clientKey struct {
	branch string // its branchID
	cancel bool
}

// serverKey finds a server transaction (RFC 3261 section 17.2.3).
type serverKey struct {
	branch string // its branchID, or for RFC 2543 what stands in for it
	host   string // of the sent-by
	port   int
	method sip.Method
}

// ID returns a name for the transaction that a request begins, for logs and what
// is kept beside it: that which the Server of the request has at the other end, as
// long as nobody changes its topmost Via. A client transaction has it, too: WithSent
// tells of the request as it went out, once for each try. That of an ACK is its
// own, not that of its INVITE.
//
// It consists of what makes a transaction, the branch, the sent-by and the method
// (RFC 3261 section 17.2.3), or a hash of that where it has more than 100 bytes.
func ID(r *sip.Request) string {
	key := serverKeyOf(r)
	key.method = r.Method()
	return key.String()
}

// maxID bounds the text of a key. A hash has fewer bytes.
const maxID = 100

// String returns the key as one line of text, unlike that of any other.
func (k serverKey) String() string {
	branch, sentBy := cookie+k.branch, k.host
	if strings.Contains(k.branch, "\n") { // RFC 2543
		branch = strings.ReplaceAll(k.branch, "\n", " ")
	}
	if strings.Contains(k.host, ":") && !strings.HasPrefix(k.host, "[") {
		sentBy = "[" + k.host + "]"
	}
	if k.port != 0 {
		sentBy += ":" + strconv.Itoa(k.port)
	}
	text := branch + " " + sentBy + " " + string(k.method)
	if len(text) > maxID {
		// Every other text has a space.
		return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
	}
	return text
}

// of returns the key of the transaction with the same branch and another method.
func (k serverKey) of(method sip.Method) serverKey {
	k.method = method
	return k
}

// serverKeyOf returns the key of the transaction that a request belongs to. An
// ACK belongs to its INVITE; a CANCEL has a transaction of its own.
func serverKeyOf(r *sip.Request) serverKey {
	via := r.Via()
	key := serverKey{branchID(via.Branch()), strings.ToLower(via.Host), via.Port, r.Method()}
	if key.method == sip.ACK {
		key.method = sip.INVITE
	}
	if key.branch == "" {
		// A peer of RFC 2543: what else makes requests the same. The tag of
		// the To is left out, for the ACK has one that the INVITE has not.
		// No branch has a line end in it.
		key.branch = strings.Join([]string{
			r.URI().String(), r.From().Tag(), r.CallID(),
			strconv.FormatUint(uint64(r.CSeq().Seq), 10), via.Branch(),
		}, "\n")
	}
	return key
}

// mergeKey tells that two requests are one that took two paths (RFC 3261
// section 8.2.2.2).
type mergeKey struct {
	fromTag string
	callID  string
	cseq    sip.CSeq
}

func mergeKeyOf(r *sip.Request) mergeKey { return mergeKey{r.From().Tag(), r.CallID(), r.CSeq()} }
