/*
 * The limits of an account: asking the service how much of them is used up, and
 * telling clients about it.
 */

#ifndef KIRO_USAGE_LIMITS_H
#define KIRO_USAGE_LIMITS_H

#include "kiro/credential.h"
#include "kiro/kiro.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    kiro_login login;
    kiro_wire  wire;
    kiro_str   token;           /* the bearer */
    kiro_str   profile_arn;     /* empty: without */
    kiro_str   host;            /* for the Host header */
    kiro_str   prefix;          /* the endpoint's path, "" or "/x" */
    kiro_str   user_agent;      /* may be empty */
} kiro_usage_query;

/*
 * The whole HTTP/1.1 request (Connection: close). Returns the length it needs;
 * written only if cap is enough; 0: f says what is wrong.
 */
size_t kiro_usage_request(const kiro_usage_query *query, char *buf, size_t cap,
    kiro_failure *f);

#define KIRO_USAGE_RESOURCES  6
#define KIRO_USAGE_BONUSES    4

/*
 * Plain data, terminated texts: may be copied to any place, for this machine and
 * this version of the module. What the service does not tell is NaN, 0 (times) or
 * empty (texts). Times are Unix milliseconds.
 */

typedef struct {                /* a free trial, a bonus */
    char     name[64];
    char     status[32];
    double   used;
    double   limit;
    int64_t  expires_at;
} kiro_usage_grant;

typedef struct {
    char     type[32];          /* "CREDIT" */
    char     name[64];
    char     unit[32];
    char     currency[8];       /* of rate and charges */
    double   used;
    double   limit;
    double   overage_used;
    double   overage_limit;
    double   overage_rate;
    double   overage_charges;
    int64_t  resets_at;
    uint32_t has_trial;
    uint32_t nbonuses;
    kiro_usage_grant trial;
    kiro_usage_grant bonuses[KIRO_USAGE_BONUSES];
} kiro_usage_resource;

typedef struct {
    char     subscription[64];  /* its title */
    char     subscription_type[64];
    char     overage[32];       /* "ENABLED", "DISABLED" */
    double   overage_limit;
    int64_t  resets_at;
    uint32_t nresources;
    kiro_usage_resource resources[KIRO_USAGE_RESOURCES];
} kiro_usage_limits;

/*
 * Reads the service's answer. error_type is the header x-amzn-errortype, may be
 * empty. KIRO_OK: limits is filled; KIRO_AGAIN: it may take the other form, with or
 * without profile_arn, f says what it said to this one; KIRO_ERROR: f says why
 * (text for logs and clients, without secrets).
 */
kiro_status kiro_usage_parse(int status, kiro_str error_type, kiro_str body,
    kiro_usage_limits *limits, kiro_failure *f);

/* When all comes back that is used up, overage with it; 0: nothing is, or nobody knows. */
int64_t kiro_usage_resets_at(const kiro_usage_limits *limits, int64_t now);

typedef struct {
    kiro_str                 account;
    const kiro_usage_limits *limits;
    int64_t                  fetched_at;
    int64_t                  now;
    int                      stale;     /* it should be newer, but cannot be */
} kiro_usage_view;

/*
 * The JSON for a client. Returns the length it needs; written only if cap is
 * enough; 0: f says why (out of memory).
 */
size_t kiro_usage_answer(const kiro_usage_view *view, char *buf, size_t cap,
    kiro_failure *f);

#ifdef __cplusplus
}
#endif

#endif
