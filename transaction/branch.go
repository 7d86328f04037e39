package transaction

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"hash/maphash"
	"strconv"
	"strings"
)

// newBranch returns a branch that nobody can guess, with what WithBranch asks
// for. The end of a random one tells isOurs that this layer has made it.
func (l *Layer) newBranch(ctx context.Context, to *way) string {
	if seed, ok := ctx.Value(branchSeed{}).(string); ok {
		return cookie + seeded(seed, to) + branchEnd(ctx)
	}
	return l.randomBranch(ctx)
}

// randomBranch is newBranch whatever WithBranchSeed asks for.
func (l *Layer) randomBranch(ctx context.Context) string {
	random := strings.ToLower(rand.Text()[:branchRandom])
	return cookie + random + l.mark(random) + branchEnd(ctx)
}

// branchEnd returns what WithBranch has at the end.
func branchEnd(ctx context.Context) string {
	id, _ := ctx.Value(givenBranch{}).(string)
	if id != "" {
		id = "." + id
	}
	return id
}

// seeded returns what WithBranchSeed has in place of something random.
func seeded(seed string, to *way) string {
	var room [128]byte
	b := append(append(room[:0], seed...), '\n')
	b = to.addr().AppendTo(append(append(b, to.transport()...), '\n'))
	sum := sha256.Sum256(b)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

const branchRandom = 20 // characters of 5 bits each

// mark returns what a branch of ours has behind its random part.
func (l *Layer) mark(random string) string {
	return strconv.FormatUint(maphash.String(l.seed, random)>>24, 36)
}

// isOurs reports whether a branch, by its branchID, is a random one that this layer
// has made for a transaction, be it long over.
func (l *Layer) isOurs(branch string) bool {
	own, _, _ := strings.Cut(branch, ".")
	return len(own) > branchRandom && own[branchRandom:] == l.mark(own[:branchRandom])
}
