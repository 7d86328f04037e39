/* cparse FILE: runs the peers in C on one message, a slice of time of one of
 * them whenever it is asked to. It prints "work<TAB>name" for each peer and an
 * empty line; then for each line "index nanoseconds" that it reads, a line "ns
 * allocs bytes" of what one message took on average. It ends with its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "peers.h"

/* The allocations of the libraries are counted: these names win over libc's. */
static size_t n_alloc, n_bytes;
void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *malloc(size_t n) { n_alloc++; n_bytes += n; return __libc_malloc(n); }
void *calloc(size_t a, size_t b) { n_alloc++; n_bytes += a * b; return __libc_calloc(a, b); }
void *realloc(void *p, size_t n) { n_alloc++; n_bytes += n; return __libc_realloc(p, n); }

static char copybuf[65536];
static size_t do_memcpy(const char *m, size_t n) {
	memcpy(copybuf, m, n);
	__asm__ volatile("" ::: "memory");
	return (unsigned char)copybuf[n - 1];
}
static size_t do_memchr(const char *m, size_t n) {
	size_t lines = 0;
	const char *end = m + n, *p = m;
	while (p < end && (p = memchr(p, '\n', end - p))) { lines++; p++; }
	return lines;
}
static peer_t ref_peers[] = {{"ref", "memcpy (C)", do_memcpy}, {"ref", "memchr of line ends (C)", do_memchr}, {0}};

/* CPU time, so that other load on the machine does not count. */
static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static char msg[65536];
static size_t len;
static volatile size_t sink;

static void run(peer_t *p, double slice) {
	if (p->fn(msg, len) == 0) {
		printf("failed\n");
		return;
	}
	size_t a = n_alloc, b = n_bytes, n = 0, batch = 16, sum = 0;
	double start = now(), took = 0, last;
	while (took < slice) {
		for (size_t k = 0; k < batch; k++) sum += p->fn(msg, len);
		n += batch;
		last = took;
		took = now() - start;
		if (took - last < slice / 50) batch *= 2; /* looking at the clock must not count */
	}
	sink = sum;
	printf("%.3f %.3f %.1f\n", took / n, (double)(n_alloc - a) / n, (double)(n_bytes - b) / n);
}

int main(int argc, char **argv) {
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	if (!f) {
		fprintf(stderr, "usage: cparse FILE\n");
		return 2;
	}
	len = fread(msg, 1, sizeof msg - 1, f);
	fclose(f);
	http_setup(msg, len);
	sofia_setup(msg, len);
	osip_setup(msg, len);
	re_setup(msg, len);

	peer_t *sets[] = {ref_peers, http_peers, sofia_peers, osip_peers, re_peers, 0}, *peers[64];
	int n = 0, is_response = memcmp(msg, "SIP/", 4) == 0;
	for (peer_t **s = sets; *s; s++)
		for (peer_t *p = *s; p->work; p++) {
			/* only a request can be answered, and is edited here */
			if (is_response && (!strcmp(p->work, "build") || !strcmp(p->work, "forward"))) continue;
			peers[n++] = p;
			printf("%s\t%s\n", p->work, p->name);
		}
	printf("\n");
	fflush(stdout);

	int i;
	double slice;
	while (scanf("%d %lf", &i, &slice) == 2 && i >= 0 && i < n) {
		run(peers[i], slice);
		fflush(stdout);
	}
	return 0;
}
