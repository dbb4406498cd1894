/*
 * The models of an account: asking the service for the list, keeping it as a
 * catalogue, and telling clients about it.
 */

#ifndef KIRO_MODELS_H
#define KIRO_MODELS_H

#include "kiro/credential.h"
#include "kiro/kiro.h"
#include "kiro/request.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    kiro_login login;
    kiro_wire  wire;
    kiro_str   token;           /* the bearer */
    kiro_str   profile_arn;     /* may be empty; not sent for an API key */
    kiro_str   host;            /* for the Host header */
    kiro_str   prefix;          /* the endpoint's path, "" or "/x" */
    kiro_str   user_agent;      /* may be empty */
    kiro_str   next;            /* kiro_models_next(), empty for the first page */
} kiro_models_query;

/*
 * The whole HTTP/1.1 request (Connection: close) for a page of the list. Returns
 * the length it needs; written only if cap is enough; 0: f says what is wrong.
 */
size_t kiro_models_request(const kiro_models_query *query, char *buf,
    size_t cap, kiro_failure *f);

/* A list that is being fetched. */
typedef struct kiro_models kiro_models;

kiro_models *kiro_models_create(void);               /* NULL: out of memory */
void kiro_models_free(kiro_models *models);

/*
 * Takes a page. error_type is the header x-amzn-errortype, may be empty.
 * KIRO_OK: the list is whole; KIRO_AGAIN: ask for the page of kiro_models_next();
 * KIRO_ERROR: no list, f says why (log text without secrets).
 */
kiro_status kiro_models_page(kiro_models *models, int status,
    kiro_str error_type, kiro_str body, kiro_failure *f);

kiro_str kiro_models_next(const kiro_models *models);

/*
 * The whole list as a catalogue of at most KIRO_CATALOGUE_MAX bytes; models that
 * do not fit are left out. The bytes hold no pointers: they may be copied to any
 * place, for this machine and this version of the module.
 */
#define KIRO_CATALOGUE_MAX  65536

kiro_status kiro_models_catalogue(kiro_models *models, kiro_str *catalogue,
    kiro_failure *f);

/* How many models a catalogue has; 0: it is none, the built-in models are used. */
size_t kiro_catalogue_count(kiro_str catalogue);

typedef struct {
    kiro_api                api;        /* whose shape */
    kiro_str                catalogue;  /* empty: the built-in models */
    const kiro_model_alias *aliases;    /* listed as models of their own */
    size_t                  naliases;
} kiro_models_view;

/*
 * The JSON for a client: of all models, or, with an id, of the one that it names,
 * as a request may name it. Returns the length it needs; written only if cap is
 * enough; 0: f says why (no such model, out of memory).
 */
size_t kiro_models_answer(const kiro_models_view *view, const kiro_str *id,
    char *buf, size_t cap, kiro_failure *f);

#ifdef __cplusplus
}
#endif

#endif
