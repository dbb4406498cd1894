/*
 * Parser for whole HTTP/1.x responses of control-plane calls (token refresh and
 * the like): Content-Length, chunked, and until-close bodies, with a cap.
 */

#ifndef KIRO_HTTP_H
#define KIRO_HTTP_H

#include "kiro/kiro.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiro_http kiro_http;

/* max: bytes of header plus body that are taken. NULL: out of memory. */
kiro_http *kiro_http_create(size_t max);
void kiro_http_free(kiro_http *http);            /* wipes the body */

/* KIRO_OK: the response is whole; KIRO_AGAIN: more; KIRO_ERROR: malformed or too big. */
kiro_status kiro_http_feed(kiro_http *http, const char *data, size_t n);
kiro_status kiro_http_eof(kiro_http *http);

int kiro_http_status(const kiro_http *http);
kiro_str kiro_http_body(const kiro_http *http);
/* name in lower case; empty view if absent. */
kiro_str kiro_http_header(const kiro_http *http, const char *name);

#ifdef __cplusplus
}
#endif

#endif
