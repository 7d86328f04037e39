package file

import (
	"context"
	"io"

	"github.com/goparley/parley/sdp"
)

// FailWrites has the disk of a Receiver take so many octets and no more.
func FailWrites(r *Receiver, octets int64, err error) {
	open := r.ready
	r.ready = func(ctx context.Context, t *transfer) error {
		if err := open(ctx, t); err != nil {
			return err
		}
		t.to.to = &full{t.to.to, octets, err}
		return nil
	}
}

type full struct {
	io.Writer
	left int64
	err  error
}

func (f *full) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p[:min(int64(len(p)), f.left)])
	if f.left -= int64(n); f.left == 0 && err == nil {
		err = f.err
	}
	return n, err
}

// Set has tests describe what no Sender would.
func (d Description) Set(m *sdp.Media) error { return d.set(m) }

// NewID is for them as well.
var NewID = newID
