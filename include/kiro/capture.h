/*
 * What one request leaves for support: six files in a directory of its own. Pieces are kept
 * as they come; secrets are masked when the files are written, over each file as a whole, so
 * that it does not matter where a piece ended, nor when the secret became known.
 *
 *   request_body.json             the client's body
 *   kiro_request_body.json        what the last attempt sent
 *   response_stream_raw.txt       what it got, without HTTP's framing
 *   response_stream_modified.txt  what the client got
 *   app_logs.txt                  the request's lines of the log, and more
 *   error_info.json               only of what failed
 *
 * Earlier attempts have their number in front of the ending: response_stream_raw.1.txt. A
 * body that an attempt shares with the one before is there once.
 */

#ifndef KIRO_CAPTURE_H
#define KIRO_CAPTURE_H

#include "kiro/kiro.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kiro_capture kiro_capture;

typedef enum {
    KIRO_CAPTURE_REQUEST = 0,
    KIRO_CAPTURE_KIRO_REQUEST,  /* of the present attempt */
    KIRO_CAPTURE_RAW,           /* of the present attempt */
    KIRO_CAPTURE_CLIENT,
    KIRO_CAPTURE_LOG
} kiro_capture_part;

/* What error_info.json says. Empty strings and zeros are left out. */
typedef struct {
    kiro_str request_id;
    kiro_str time;
    kiro_str api;
    kiro_str model;
    kiro_str client;
    kiro_str account;
    kiro_str error;             /* as $kiro_error */
    kiro_str message;
    kiro_str retry_reason;
    unsigned status;            /* that the client got */
    unsigned upstream_status;
    unsigned attempts;
} kiro_capture_outcome;

typedef struct {
    const char *dir;            /* terminated */
    const char *name;           /* of the capture; names sort by age */
    size_t      max_captures;   /* at least 1 */
    size_t      max_size;       /* bytes of all files */
} kiro_capture_place;

/* A file ends with a mark after max_file bytes. NULL: no memory. */
kiro_capture *kiro_capture_create(size_t max_file);
void kiro_capture_free(kiro_capture *capture);   /* wipes the secrets */

/* The bytes are copied. What there is no memory for is missing; the file says so. */
void kiro_capture_add(kiro_capture *capture, kiro_capture_part part,
    const char *data, size_t len);

/*
 * Another attempt begins. With the number of the present one it takes that one's place.
 * Of many attempts the first and the last three are kept.
 */
void kiro_capture_attempt(kiro_capture *capture, unsigned number);

/*
 * Masked wherever it occurs: as it is, with JSON's escapes (twice, too), percent-encoded, as
 * base64 or a part of it, and in the values of one JSON member over many messages. Short
 * ones (less than 6 bytes) would be found everywhere and are left out.
 */
void kiro_capture_secret(kiro_capture *capture, kiro_str secret);

/* All secrets of a login's JSON. */
void kiro_capture_login(kiro_capture *capture, kiro_str json);

/* Account and profile of an ARN. */
void kiro_capture_arn(kiro_capture *capture, kiro_str arn);

void kiro_capture_failed(kiro_capture *capture,
    const kiro_capture_outcome *outcome);

/* Bytes that are held. */
size_t kiro_capture_size(const kiro_capture *capture);

/*
 * Writes the files (0600, their directory 0700) and removes the oldest captures, so that
 * with this one there are as many as allowed at most. Blocks: call it in a thread. Captures
 * of other processes wait for each other. KIRO_OK with a f->kind: f is a warning.
 */
kiro_status kiro_capture_save(kiro_capture *capture,
    const kiro_capture_place *place, kiro_failure *f);

#ifdef __cplusplus
}
#endif

#endif
