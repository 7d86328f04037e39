package frame_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/goparley/parley/msrp/frame"
)

// readStream reads all that a Reader makes of a stream, in the shape that the
// judge wants.
func readStream(t testing.TB, src io.Reader) (frames []naiveFrame, rest int) {
	t.Helper()
	r := frame.NewReader(src)
	for {
		h, err := r.Next()
		if err == nil {
			f := asNaive(h)
			f.Body, err = readBody(r)
			f.Flag = byte(r.Flag())
			if err == frame.ErrTooLong {
				f.Malformed, err = true, nil
			}
			if err == nil {
				frames = append(frames, f)
				continue
			}
		}
		var syntax *frame.SyntaxError
		switch {
		case err == io.EOF:
			return frames, 0
		case err == io.ErrUnexpectedEOF:
			return frames, judgeUnfinished
		case errors.As(err, &syntax), err == frame.ErrTooLong:
			return frames, judgeRefused
		default:
			t.Fatalf("error %v, want one of syntax or length", err)
		}
	}
}

func readBody(r *frame.Reader) (body []byte, err error) {
	for {
		piece, err := r.Body()
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, err
		}
		body = append(body, piece...)
	}
}

// asNaive is what a Head says.
func asNaive(h *frame.Head) naiveFrame {
	f := naiveFrame{TransactionID: h.ID, Method: string(h.Method), Status: int(h.Status),
		Malformed: h.Err != nil, HasBody: h.HasBody}
	comment := h.Comment
	if h.Method == "" {
		f.Comment, comment = comment, ""
	}
	add := func(name, value string) { f.Headers = append(f.Headers, [2]string{name, value}) }
	add("To-Path", h.To)
	add("From-Path", h.From)
	add("Message-ID", h.MessageID)
	if h.Range != (frame.Range{}) {
		add("Byte-Range", h.Range.String())
	}
	if h.SuccessReport {
		add("Success-Report", "yes")
	}
	add("Failure-Report", [...]string{"yes", "partial", "no"}[h.FailureReport])
	if h.Report != 0 {
		if comment != "" {
			comment = " " + comment
		}
		add("Status", "000 "+string(rune('0'+h.Report/100))+string(rune('0'+h.Report/10%10))+string(rune('0'+h.Report%10))+comment)
	}
	add("Content-Type", h.ContentType)
	for _, field := range h.Fields {
		add(field.Name, field.Value)
	}
	return f
}

// inPieces gives out data in pieces of these sizes, and then the rest at once.
type inPieces struct {
	data  []byte
	sizes []int
}

func (p *inPieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	size := len(p.data)
	if len(p.sizes) > 0 {
		size, p.sizes = min(size, p.sizes[0]), p.sizes[1:]
	}
	n := copy(b, p.data[:size])
	p.data = p.data[n:]
	return n, nil
}

func randomSizes(r *rand.Rand, total int) (sizes []int) {
	for sum := 0; sum < total; {
		size := 1 + r.IntN(pick(r, 2, 20, 400))
		sizes, sum = append(sizes, size), sum+size
	}
	return sizes
}

// judgeReader holds what the Reader makes of data, whole, against naiveParse,
// and what it makes of data in other pieces against that.
func judgeReader(t testing.TB, data []byte, cuts ...[]int) {
	t.Helper()
	want, wantRest := readStream(t, bytes.NewReader(data))
	judge(t, data, want, wantRest)
	again := func(how any, src io.Reader) {
		if got, rest := readStream(t, src); rest != wantRest || !reflect.DeepEqual(got, want) {
			t.Errorf("of %d bytes\n%.4000q\nin pieces %v:\n%+v, rest %d, want\n%+v, rest %d", len(data), data, how, got, rest, want, wantRest)
		}
	}
	if len(data) < 3000 { // larger ones take long
		again("of a byte", iotest.OneByteReader(bytes.NewReader(data)))
	}
	for _, sizes := range cuts {
		again(sizes, &inPieces{data, sizes})
	}
}

// everySplit are the ways to cut data in two.
func everySplit(data []byte) (cuts [][]int) {
	for i := 1; i < len(data); i++ {
		cuts = append(cuts, []int{i})
	}
	return cuts
}

func TestReaderReadsWhatTheRFCsPrint(t *testing.T) {
	var all []byte
	for _, data := range printed(t) {
		judgeReader(t, data, everySplit(data)...)
		all = append(all, data...)
	}
	r := rand.New(rand.NewPCG(1, 4))
	var cuts [][]int
	for range 50 {
		cuts = append(cuts, randomSizes(r, len(all)))
	}
	judgeReader(t, all, cuts...)
}

// printed returns the frames that RFCs print.
func printed(t testing.TB) (frames [][]byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/rfc/*.msrp")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, data)
	}
	return frames
}

func TestReaderReadsRandomStreams(t *testing.T) {
	for seed := range uint64(randomStreams) {
		r := rand.New(rand.NewPCG(seed, 5))
		data, _ := randomStream(r)
		judgeReader(t, data, randomSizes(r, len(data)))
		if seed%60 == 0 && len(data) < 2000 {
			judgeReader(t, data, everySplit(data)...)
		}
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func TestReaderReadsMutatedStreams(t *testing.T) {
	for seed := range uint64(randomStreams) {
		r := rand.New(rand.NewPCG(seed, 6))
		data, _ := randomStream(r)
		data = mutate(r, data)
		judgeReader(t, data, randomSizes(r, len(data)))
		if seed%60 == 0 && len(data) < 2000 {
			judgeReader(t, data, everySplit(data)...)
		}
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// Parse makes of a message that is one frame what the Reader makes of it, and
// refuses what is none, or more (RFC 7977 section 5.1).
func judgeParse(t testing.TB, data []byte) {
	t.Helper()
	frames, rest := readStream(t, bytes.NewReader(data))
	h, body, flag, err := frame.Parse(data)
	if want := len(frames) == 1 && rest == 0; (err == nil) != want {
		t.Errorf("Parse of %.4000q: %v, want success: %v", data, err, want)
		return
	}
	if err != nil {
		var syntax *frame.SyntaxError
		if !errors.As(err, &syntax) && err != frame.ErrTooLong {
			t.Errorf("Parse of %.4000q: error %v, want one of syntax or length", data, err)
		}
		return
	}
	got := asNaive(h)
	got.Body, got.Flag = body, byte(flag)
	if len(body) == 0 {
		got.Body = nil
	}
	if !reflect.DeepEqual(got, frames[0]) {
		t.Errorf("Parse of %.4000q: %+v, want %+v", data, got, frames[0])
	}
}

func TestParseReadsSingleFrames(t *testing.T) {
	for _, data := range printed(t) {
		judgeParse(t, data)
		judgeParse(t, append(data, data...))
		judgeParse(t, data[:len(data)-1])
	}
	for seed := range uint64(randomStreams) {
		r := rand.New(rand.NewPCG(seed, 7))
		f := randomFrame(r, randomID(r, "none"))
		judgeParse(t, randomText(r, f))
		judgeParse(t, mutate(r, randomText(r, f)))
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}
