package file

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// RFC 5547 sections 6 and 10: what is a name at the peer may be a way elsewhere
// here.
func TestSafeName(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"My cool picture.jpg", "My cool picture.jpg"},
		{"r\u00e9sum\u00e9.pdf", "r\u00e9sum\u00e9.pdf"},
		{"archive.tar.gz", "archive.tar.gz"},

		// directories of any system
		{"../../etc/passwd", "passwd"},
		{`..\..\boot.ini`, "boot.ini"},
		{`C:\Users\x\a.txt`, "a.txt"},
		{"/a/b/", "b"},
		{`a\b/c\`, "c"},
		{"..", "file"},
		{"/", "file"},
		{"a/..", "file"},

		// in front and at the end
		{".bashrc", "bashrc"},
		{"-rf", "rf"},
		{" .- -.x", "x"},
		{"a. . ", "a"},
		{"...", "file"},
		{"", "file"},

		// control and format characters
		{"a\x00b\r\n\t\x1b[31m\x7f\u0085.txt", "ab[31m.txt"},
		{"exe\u202egpj.scr", "exegpj.scr"},
		{"\u200b.a\u2028b\ufeff", "ab"},
		{"a\u00a0b", "a b"},
		{"\x00/\x00", "file"},

		// what is no UTF-8
		{"a\xff\xfeb", "a_b"},

		// what Windows gives a meaning to
		{`a<b>c:d"e|f?g*h`, "a_b_c_d_e_f_g_h"},
		{"a.txt:hidden", "a.txt_hidden"},
		{"CON", "_CON"},
		{"nul.txt", "_nul.txt"},
		{"Aux .tar.gz", "_Aux .tar.gz"},
		{"com1", "_com1"},
		{"LPT\u00b9.x", "_LPT\u00b9.x"},
		{"conin$", "_conin$"},
		{"COM", "COM"},
		{"COM10", "COM10"},
		{"console", "console"},

		// length
		{strings.Repeat("a", 300) + ".jpeg", strings.Repeat("a", 250) + ".jpeg"},
		{strings.Repeat("\u00e9", 200) + ".txt", strings.Repeat("\u00e9", 125) + ".txt"},
		{strings.Repeat("a", 250) + " bcdefg", strings.Repeat("a", 250) + " bcde"},
		{strings.Repeat("a", 254) + " b", strings.Repeat("a", 254)},
		{"a." + strings.Repeat("b", 300), "a." + strings.Repeat("b", 253)},
		{"CON." + strings.Repeat("b", 300), "_CON." + strings.Repeat("b", 250)},
	} {
		if got := SafeName(tt.name); got != tt.want {
			t.Errorf("SafeName(%.80q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, name := range []string{"", "My cool picture.jpg", "../.\\-x", "CON .a", "\xff\u202e. ", strings.Repeat("\u20ac.", 100)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := SafeName(name)
		if len(got) == 0 || len(got) > 255 || !utf8.ValidString(got) ||
			strings.ContainsAny(got, "/\\\x00\r\n<>:\"|?*") || strings.ContainsAny(got[:1], ".- ") ||
			strings.HasSuffix(got, ".") || strings.HasSuffix(got, " ") || isDevice(got) {
			t.Errorf("SafeName(%q) = %q", name, got)
		}
		if again := SafeName(got); again != got {
			t.Errorf("SafeName(%q) = %q, and of that %q", name, got, again)
		}
		for _, added := range []string{" (2)", " (999)"} {
			if s := shorten(got, added); len(s) > 255 || !utf8.ValidString(s) || !strings.Contains(s, added) || SafeName(s) != s {
				t.Errorf("shorten(%q, %q) = %q", got, added, s)
			}
		}
	})
}
