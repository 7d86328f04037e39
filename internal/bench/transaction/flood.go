package main

import (
	"context"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"

	"github.com/goparley/parley/internal/bench/rig"
)

// A client may choose its branches so that they have one hash, and with it one
// place in a table whose hash is known. floodTable has one do so, next to
// another who does nothing of the kind, and prints what both get.
func floodTable(ctx context.Context, server *rig.Contender, n, rate, rounds int) error {
	hashes := []struct {
		name string
		step func(uint32, byte) uint32
		from uint32
	}{
		{"random, as long", nil, 0},
		{"of one FNV-1a hash", func(h uint32, b byte) uint32 { return (h ^ uint32(b)) * 16777619 }, 2166136261},
		{"of one CRC-32", func(h uint32, b byte) uint32 { return crc32.IEEETable[byte(h)^b] ^ h>>8 }, ^uint32(0)},
		{"of one 31 h + c", func(h uint32, b byte) uint32 { return 31*h + uint32(b) }, 0},
	}
	type row struct {
		p50, p99, cpu []float64
		lost, flooded int
	}
	rows := make([]row, len(hashes))
	branches := make([]func(int) string, len(hashes))
	for i, h := range hashes {
		branches[i] = collide(h.step, h.from, 18).branch
	}
	for round := -1; round < rounds; round++ { // the first one is to warm up
		for i := range hashes {
			at := (i + round + len(hashes)) % len(hashes)
			attacker, err := rig.NewCaller(server.Addr, "OPTIONS", n, branches[at])
			if err != nil {
				return err
			}
			other, err := rig.NewCaller(server.Addr, "OPTIONS", n, nil)
			if err != nil {
				return err
			}
			before, err := server.CPU()
			if err != nil {
				return err
			}
			flooded := make(chan error, 1)
			go func() { flooded <- attacker.Run(ctx, rate) }() // ends when all is sent
			if err := other.Run(ctx, rate); err != nil {
				return err
			}
			if err := <-flooded; err != nil {
				return err
			}
			after, err := server.CPU()
			if err != nil {
				return err
			}
			if round < 0 {
				continue
			}
			r := &rows[at]
			p50, p99, _, lost := other.Quantiles()
			_, _, _, none := attacker.Quantiles()
			r.p50, r.p99, r.cpu = append(r.p50, us(p50)), append(r.p99, us(p99)), append(r.cpu, (after-before).Seconds()/float64(2*n)*10000)
			r.lost, r.flooded = r.lost+lost, r.flooded+n-none
		}
	}
	fmt.Printf("\n%d rounds of %d OPTIONS of each of two clients at %d a second, load average %s\n\n", rounds, n, rate, rig.LoadAverage())
	fmt.Print("| branches of the one | p50 of the other, us | p99 | without a response | CPU s for 10,000 | of that with random ones |\n|---|--:|--:|--:|--:|--:|\n")
	for i, h := range hashes {
		r := rows[i]
		fmt.Printf("| %s | %.0f | %.0f | %d | %.3f | %.2f |\n", h.name, rig.Median(r.p50), rig.Median(r.p99), r.lost, rig.Median(r.cpu), rig.Ratio(r.cpu, rows[0].cpu))
		if r.flooded == 0 {
			return fmt.Errorf("branches %s: none was answered", h.name)
		}
	}
	return nil
}

// collision is a way to make strings of one hash: of each pair either may be
// taken, as both lead the hash from one state to the same next one.
type collision [][2]string

// collide finds pairs for a hash that takes one byte after the other, which is
// some 100,000 tries each, by the birthday paradox. Without a hash any will do.
func collide(step func(uint32, byte) uint32, state uint32, pairs int) collision {
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	var list collision
	for range pairs {
		seen := map[uint32]string{}
		for {
			block := make([]byte, 8)
			h := state
			for i := range block {
				block[i] = letters[rand.IntN(len(letters))]
				if step != nil {
					h = step(h, block[i])
				}
			}
			if other, ok := seen[h]; ok && other != string(block) {
				list = append(list, [2]string{other, string(block)})
				state = h
				break
			}
			seen[h] = string(block)
		}
	}
	return slices.Clip(list)
}

// branch returns the one of a number.
func (c collision) branch(i int) string {
	text := make([]byte, 0, 8*len(c))
	for bit, pair := range c {
		text = append(text, pair[i>>bit&1]...)
	}
	return string(text)
}
