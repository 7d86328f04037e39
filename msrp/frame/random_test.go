package frame_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// randomStream makes one to six valid frames, and their text. Ids may have 1 to
// 64 characters, and bodies are full of what looks like an end-line and is not
// one, which RFC 4975 section 7.1 tells a sender to avoid.
func randomStream(r *rand.Rand) (data []byte, frames []naiveFrame) {
	id := "none"
	for range 1 + r.IntN(6) {
		id = randomID(r, id)
		f := randomFrame(r, id)
		if len(frames) > 0 && r.IntN(3) == 0 {
			f = randomChunk(r, frames[len(frames)-1], id)
		}
		frames = append(frames, f)
		data = append(data, randomText(r, f)...)
	}
	return data, frames
}

// mutate damages data in one to four places.
func mutate(r *rand.Rand, data []byte) []byte {
	data = slices.Clone(data)
	for range 1 + r.IntN(4) {
		from := r.IntN(len(data) + 1)
		to := from + r.IntN(min(len(data)-from, 40)+1)
		switch r.IntN(5) {
		case 0: // flip
			if from < len(data) {
				data[from] ^= 1 << r.IntN(8)
			}
		case 1: // cut
			data = slices.Delete(data, from, to)
		case 2: // cut all that follows
			if r.IntN(4) == 0 {
				data = data[:from]
			}
		case 3: // double
			data = slices.Insert(data, to, slices.Clone(data[from:to])...)
		case 4: // insert
			piece := pick(r, "\r", "\n", "\r\n", "\r\n\r\n", "\x00", "-", "-------", "\r\n-------", "$", "+", "#", " ", ":")
			data = slices.Insert(data, from, []byte(piece)...)
		}
	}
	return data
}

func randomFrame(r *rand.Rand, id string) naiveFrame {
	f := naiveFrame{TransactionID: id, Flag: '$'}
	f.Headers = [][2]string{{"To-Path", randomPath(r)}, {"From-Path", randomPath(r)}}
	add := func(name string, values ...string) {
		f.Headers = append(f.Headers, [2]string{name, pick(r, values...)})
	}
	switch r.IntN(8) {
	case 0, 1, 2:
		f.Method = "SEND"
		f.Flag = pick[byte](r, '$', '$', '+', '#')
		add("Message-ID", "12339sdqwer", "a.-+%=")
		add("Byte-Range", "1-25/25", "1-*/*", "2049-4385/4385", "1-0/0")
		add("Success-Report", "yes", "no")
		add("Failure-Report", "yes", "no", "partial")
	case 3:
		f.Method = "REPORT"
		add("Message-ID", "12339sdqwer")
		add("Byte-Range", "1-106/106")
		add("Status", "000 200 OK", "000 413", "001 999 na\xc3\xafve")
	case 4, 5:
		f.Status = pick(r, 200, 400, 401, 403, 408, 413, 415, 423, 425, 481, 501, 506, 100, 999)
		f.Comment = pick(r, "", "", "OK", "Nickname reserved or already in use", "200", "d\xc3\xa9j\xc3\xa0 vu\tSEND: $", "-------"+id+"$")
	case 6:
		f.Method = "AUTH"
		add("Expires", "900")
		add("Authorization", `Digest username="Alice", realm="a:b", nc=00000001`)
	case 7:
		f.Method = pick(r, "NICKNAME", "FROBNICATE", "X", "SENDS", "MSRP")
		add("Use-Nickname", `"Alice the great"`, `"\"\\"`, `""`)
	}
	for r.IntN(3) == 0 {
		add(pick(r, "X-Unknown", "x", "Expires", "Keep-Alive", "a!#$%&'*+-.^_`{|}~"),
			"", "yes", "a: b:c", "a\tb", "-------"+id+"$", "MSRP "+id+" SEND", "\xe2\x82\xac")
	}
	if r.IntN(10) == 0 {
		add("X-Long", strings.Repeat("long", r.IntN(3000)))
	}
	others := f.Headers[2:] // any order
	r.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	for i, h := range f.Headers {
		f.Headers[i][0] = pick(r, h[0], h[0], h[0], strings.ToLower(h[0]), strings.ToUpper(h[0]))
	}
	if f.Method != "" && (f.Method == "SEND" || r.IntN(4) == 0) && r.IntN(4) > 0 {
		if r.IntN(4) == 0 {
			add("Content-Disposition", "render", `attachment; filename="a: b"`)
		}
		add("Content-Type", "text/plain", "message/cpim", `text/plain;charset="utf-8"`)
		f.HasBody = true
		f.Body = randomBody(r, f.Method, id)
	}
	return f
}

// randomChunk makes a frame that is like another but for its id, its Byte-Range
// and its body.
func randomChunk(r *rand.Rand, last naiveFrame, id string) naiveFrame {
	f := last
	f.TransactionID = id
	f.Headers = slices.Clone(f.Headers)
	for i, h := range f.Headers {
		if strings.EqualFold(h[0], "Byte-Range") {
			f.Headers[i][1] = pick(r, "26-*/*", "1-25/25", "5-999999999999999999/*", "01-02/0003")
		}
	}
	if f.HasBody {
		f.Body = randomBody(r, f.Method, id)
	}
	return f
}

// randomText writes a frame as RFC 4975 section 9 has it.
func randomText(r *rand.Rand, f naiveFrame) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "MSRP %s ", f.TransactionID)
	switch {
	case f.Method != "":
		b.WriteString(f.Method)
	case f.Comment != "":
		fmt.Fprintf(&b, "%d %s", f.Status, f.Comment)
	default:
		fmt.Fprintf(&b, "%d%s", f.Status, pick(r, "", " "))
	}
	b.WriteString("\r\n")
	for _, h := range f.Headers {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	if f.HasBody {
		b.WriteString("\r\n")
		b.Write(f.Body)
		b.WriteString("\r\n")
	}
	b.WriteString("-------" + f.TransactionID + string(f.Flag) + "\r\n")
	return b.Bytes()
}

// randomID makes a transaction id, often one that is like the one before it.
func randomID(r *rand.Rand, last string) string {
	switch r.IntN(8) {
	case 0:
		return last[:1+r.IntN(len(last))]
	case 1:
		if len(last) < 64 {
			return last + pick(r, "a", "-", "+", "=", "%", ".")
		}
	case 2:
		return pick(r, "-", "+", "-------", strings.Repeat("-", 64), "ab+", "200", "SEND")
	}
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+%="
	id := make([]byte, pick(r, 1, 4, 8, 16, 32, 64))
	for i := range id {
		id[i] = chars[r.IntN(len(chars))]
	}
	return string(id)
}

func randomPath(r *rand.Rand) string {
	uris := make([]string, 1+r.IntN(3))
	for i := range uris {
		uris[i] = pick(r, "msrp://", "msrps://") + pick(r, "a.example.com:7654", "alice@192.0.2.1:2855", "[2001:db8::1]:9") +
			pick(r, "/kjhd37s2s20w2a", "/a/b+c=", "") + pick(r, ";tcp", ";ws")
	}
	return strings.Join(uris, " ")
}

// randomBody makes a body for a frame with this id: one that does not begin
// with its end-line, has none in it, and is not large unless it is that of a
// SEND (RFC 4975 section 7.1).
func randomBody(r *rand.Rand, method, id string) []byte {
	flags := []string{"$", "+", "#"}
	for {
		var body string
		for range r.IntN(8) {
			body += randomPiece(r, id)
		}
		if (method == "SEND" || len(body) <= naiveBodyLimit) && !slices.ContainsFunc(flags, func(flag string) bool {
			return strings.Contains("\r\n"+body+"\r\n", "\r\n-------"+id+flag+"\r\n")
		}) {
			return []byte(body)
		}
	}
}

func randomPiece(r *rand.Rand, id string) string {
	const line = "\r\n-------"
	flag := pick(r, "$", "+", "#")
	switch r.IntN(18) {
	case 0:
		return line + id
	case 1:
		return line + id + pick(r, "*", "-", "a", " ", "\x00", "\r", "\n") + "\r\n"
	case 2:
		return line + id + flag
	case 3:
		return line + id + flag + pick(r, "\r", "\n", "\n\r", "\r\r\n", " \r\n", flag+"\r\n")
	case 4:
		return line + id[:r.IntN(len(id))] + flag + "\r\n"
	case 5:
		return line + id + pick(r, "a", "+", "-") + flag + "\r\n"
	case 6:
		return line + randomID(r, id) + flag + "\r\n"
	case 7:
		return pick(r, "\r", "\n", "\r\n\x00", "x", "\n\r") + "-------" + id + flag + "\r\n"
	case 8:
		return "\r\n" + strings.Repeat("-", r.IntN(16)) + id + flag + "\r\n"
	case 9:
		return strings.Repeat("-", r.IntN(16))
	case 10:
		return strings.Repeat(pick(r, "\r", "\n", "\r\n"), r.IntN(6))
	case 11:
		return pick(r, strings.ToUpper(line+id), strings.ToLower(line+id)) + flag
	case 12:
		return "MSRP " + id + " SEND\r\nTo-Path: x\r\n\r\n"
	case 13:
		return pick(r, "", "-------") + id + flag + pick(r, "", "\n", "\r\n")
	case 14:
		return "\r\nTo: <sip:bob@example.com>\r\n\r\n"
	default:
		random := make([]byte, r.IntN(pick(r, 10, 100, 3000)))
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		return string(random)
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

const randomStreams = 3000

func TestNaiveParseGivesBackWhatWasMade(t *testing.T) {
	for seed := range uint64(randomStreams) {
		data, want := randomStream(rand.New(rand.NewPCG(seed, 1)))
		got, rest, err := naiveParse(data)
		if len(rest) != 0 || err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d: %d frames, %d bytes left, error %v, want %d", seed, len(got), len(rest), err, len(want))
			judge(t, data, want, 0)
			return
		}
	}
}

// A generator that has stopped to make something shows nothing any more.
func TestRandomStreamMakesEverything(t *testing.T) {
	made := make(map[string]int)
	count := func(what string, is bool) {
		if is {
			made[what]++
		} else {
			made[what] += 0
		}
	}
	for seed := range uint64(randomStreams) {
		_, frames := randomStream(rand.New(rand.NewPCG(seed, 1)))
		count("several frames", len(frames) > 1)
		for i, f := range frames {
			id, body := f.TransactionID, string(f.Body)
			line := "\r\n-------" + id
			for _, method := range []string{"SEND", "REPORT", "AUTH", "NICKNAME", "FROBNICATE"} {
				count(method+" without a body", f.Method == method && !f.HasBody)
				count(method+" with a body", f.Method == method && f.HasBody)
			}
			for _, flag := range "$+#" {
				count("flag "+string(flag), f.Flag == byte(flag))
				count("end-line without CRLF, "+string(flag), strings.Contains(body, line+string(flag)))
				count("end-line without CRLF at the start, "+string(flag), strings.HasPrefix(body, line[2:]+string(flag)))
				count("end-line after LF, "+string(flag), strings.Contains(body, "\n-------"+id+string(flag)+"\r\n"))
				count("end-line with a hyphen more, "+string(flag), strings.Contains(body, "\r\n--------"+id+string(flag)+"\r\n"))
				count("id that ends as a flag, "+string(flag), flag == '+' || strings.Contains(body, line+"+"+string(flag)+"\r\n"))
			}
			count("response with a comment", f.Method == "" && f.Comment != "")
			count("response without", f.Method == "" && f.Comment == "")
			count("empty body", f.HasBody && body == "")
			count("large body", len(body) > 4096)
			count("binary body", strings.Contains(body, "\x00"))
			count("body that ends with CR", strings.HasSuffix(body, "\r"))
			count("body that ends with CRLF", strings.HasSuffix(body, "\r\n"))
			count("body that begins with CRLF", strings.HasPrefix(body, "\r\n"))
			count("body that ends with hyphens", strings.HasSuffix(body, "\r\n-------"))
			count("body that ends with the end-line but the flag", strings.HasSuffix(body, line))
			count("end-line without the flag", strings.Contains(body, line+"\r\n"))
			count("end-line without the flag, again", strings.Contains(body, line+line))
			count("end-line with a wrong flag", strings.Contains(body, line+"*\r\n"))
			count("id of 1", len(id) == 1)
			count("id of 64", len(id) == 64)
			count("header without a value", slices.ContainsFunc(f.Headers, func(h [2]string) bool { return h[1] == "" }))
			count("header in small letters", f.Headers[0][0] == "to-path")
			count("large head", slices.ContainsFunc(f.Headers, func(h [2]string) bool { return len(h[1]) > 5000 }))
			if i > 0 {
				last := frames[i-1].TransactionID
				count("id that begins as the last", id != last && strings.HasPrefix(id, last))
				count("id that the last begins with", id != last && strings.HasPrefix(last, id))
				count("id as the last", id == last)
				before := frames[i-1]
				count("chunk like the last", f.Method == "SEND" && f.HasBody && before.HasBody &&
					len(f.Headers) == len(before.Headers) && f.Headers[0] == before.Headers[0] && !reflect.DeepEqual(f.Headers, before.Headers))
			}
		}
	}
	for what, n := range made {
		if n == 0 {
			t.Errorf("of %d streams, none has %s", randomStreams, what)
		}
	}
}

// Where a stream is cut, the frames before it stand, and the rest waits.
func TestNaiveParseOfACutStream(t *testing.T) {
	for seed := range uint64(40) {
		data, want := randomStream(rand.New(rand.NewPCG(seed, 2)))
		if len(data) > 4000 {
			continue
		}
		ends := []int{0}
		for range want {
			_, size, _ := naiveOne(data[ends[len(ends)-1]:], naiveHeadLimit)
			ends = append(ends, ends[len(ends)-1]+size)
		}
		for cut := range data {
			n := slices.IndexFunc(ends, func(end int) bool { return end > cut }) - 1
			got, rest, err := naiveParse(data[:cut])
			if len(got) != n || len(rest) != cut-ends[n] || err != nil {
				t.Fatalf("seed %d, the first %d bytes: %d frames, %d bytes left, error %v, want %d, %d",
					seed, cut, len(got), len(rest), err, n, cut-ends[n])
			}
		}
	}
}

// What is damaged is read to the same end whole and cut, and the damage is of
// each kind: to what is in a frame, to where it ends, to what begins one.
func TestMutatedStreams(t *testing.T) {
	var changed, unfinished, refused int
	for seed := range uint64(randomStreams) {
		r := rand.New(rand.NewPCG(seed, 3))
		data, made := randomStream(r)
		data = mutate(r, data)
		frames, rest, err := naiveParse(data)
		switch {
		case err != nil:
			refused++
		case len(rest) > 0:
			unfinished++
		case !reflect.DeepEqual(frames, made):
			changed++
		}
		left := len(rest)
		if err != nil {
			left = judgeRefused
		}
		judge(t, data, frames, left)

		cut := r.IntN(len(data) + 1)
		before, _, _ := naiveParse(data[:cut])
		if len(before) > len(frames) || len(before) > 0 && !reflect.DeepEqual(before, frames[:len(before)]) {
			t.Fatalf("seed %d: the first %d bytes of %q: %d frames that are not the first of the whole", seed, cut, data, len(before))
		}
	}
	const few = randomStreams / 20
	if changed < few || unfinished < few || refused < few {
		t.Errorf("%d changed, %d unfinished, %d refused, want at least %d of each", changed, unfinished, refused, few)
	}
}
