/* A peer handles a message once and returns a value that depends on what it
 * found; 0 means that it failed. Its work has the name that the Go side gives
 * it: ref, parse, read, build, forward. */
#include <stddef.h>

typedef size_t (*peer_fn)(const char *msg, size_t len);
typedef struct { const char *work, *name; peer_fn fn; } peer_t;

/* The body of the 200 that every peer builds. */
#define ANSWER \
	"v=0\r\no=bob 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\n" \
	"t=0 0\r\nm=audio 34506 RTP/AVP 0\r\n"

extern peer_t sofia_peers[], osip_peers[], re_peers[], http_peers[];
void sofia_setup(const char *req, size_t len);
void osip_setup(const char *req, size_t len);
void re_setup(const char *req, size_t len);
void http_setup(const char *msg, size_t len);
