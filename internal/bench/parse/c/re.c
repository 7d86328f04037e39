/* libre: sip_msg_decode splits and hashes all headers and decodes the top Via,
 * From, To, CSeq, Content-Type and the Request-URI; the rest stay slices.
 * Contact is decoded on request (sip_addr_decode). */
#include <string.h>
#include <re.h>
#include "peers.h"

static struct sip *stack;
static struct sip_msg *req;
static const char sdp[] = ANSWER;

static struct mbuf *mb_of(const char *m, size_t n) {
	struct mbuf *mb = mbuf_alloc(n);
	mbuf_write_mem(mb, (const uint8_t *)m, n);
	mb->pos = 0;
	return mb;
}

void re_setup(const char *m, size_t n) {
	libre_init();
	sip_alloc(&stack, NULL, 16, 16, 16, "bench", NULL, NULL);
	struct mbuf *mb = mb_of(m, n);
	sip_msg_decode(&req, mb);
	if (req) req->tp = SIP_TRANSP_NONE; /* replies are built, then not sent */
}

static size_t parse(const char *m, size_t n) {
	struct mbuf *mb = mb_of(m, n);
	struct sip_msg *s = NULL;
	size_t r = sip_msg_decode(&s, mb) == 0 ? s->cseq.num : 0;
	mem_deref(s);
	mem_deref(mb);
	return r;
}

static size_t parse_read(const char *m, size_t n) {
	struct mbuf *mb = mb_of(m, n);
	struct sip_msg *s = NULL;
	struct sip_addr c;
	size_t r = 0;
	if (sip_msg_decode(&s, mb) == 0) {
		const struct sip_hdr *h = sip_msg_hdr(s, SIP_HDR_CONTACT);
		r = s->via.branch.l + s->via.sentby.l + s->from.tag.l + s->to.tag.l + s->callid.l + s->cseq.num;
		if (h && sip_addr_decode(&c, &h->val) == 0) r += c.uri.host.l;
		if (s->req) r += s->uri.host.l;
	}
	mem_deref(s);
	mem_deref(mb);
	return r;
}

static size_t build(const char *m, size_t n) {
	sip_replyf(stack, req, 200, "OK",
		   "Contact: <sip:bob@198.51.100.20:5060>\r\nContent-Type: application/sdp\r\n"
		   "Content-Length: %zu\r\n\r\n%s", sizeof sdp - 1, sdp);
	return 1;
}

peer_t re_peers[] = {
	{"parse", "libre sip_msg_decode", parse},
	{"read", "libre sip_msg_decode", parse_read},
	{"build", "libre sip_replyf (no Record-Route)", build},
	{0}};
