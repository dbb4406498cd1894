/*
 * What was changed of a client's request on its way to the upstream, and why
 * a request is refused: rules that have stable names.
 */

#ifndef KIRO_EXPLAIN_H
#define KIRO_EXPLAIN_H

#include "kiro/kiro.h"
#include "kiro/request.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    KIRO_RULE_CHANGE = 0,       /* the request was changed to keep the rule */
    KIRO_RULE_REFUSAL,          /* the gateway refuses a request that breaks it */
    KIRO_RULE_SUSPICION         /* the upstream may have refused the request for it */
} kiro_rule_kind;

typedef struct {
    const char    *name;        /* lower-case letters, digits, hyphens */
    kiro_rule_kind kind;
    const char    *text;        /* one sentence */
} kiro_rule;

/* All rules, in the order in which lists name them. NULL: there is no such one. */
const kiro_rule *kiro_rule_at(size_t i);

/* The rule of KIRO_RULE_REFUSAL that a failure names, or its kind stands for.
   NULL: the failure is not the request's. */
const kiro_rule *kiro_failure_rule(const kiro_failure *f);

/* Always enough for the functions below. */
#define KIRO_EXPLAIN_MAX  2048

/*
 * The changes of a request that was parsed with kiro_request_options.explain, as a
 * structured field (RFC 8941, a list): rules with n, how often, and path, where in the
 * client's JSON first, if it has a place there:
 *
 *   message-merged;n=2;path="messages[3]", empty-text-filled
 *
 * Printable ASCII and nothing of the request but its paths; "more;n=3" at the end
 * stands for rules that have no room. n is left out where it is 1. Returns the
 * length, at most cap; 0: nothing was changed, or nobody asked. Later writes and
 * changes of the request add to it.
 */
size_t kiro_request_changes(const kiro_request *req, char *buf, size_t cap);

/*
 * What can be said about a failure of a request beside its message, for people:
 * the rule that it breaks and where; of the upstream's refusals its reason, what of
 * the request is suspicious, and the names of the changes. req may be NULL, or one
 * that could not be parsed. Printable ASCII. Returns the length; 0: nothing.
 */
size_t kiro_request_explain(const kiro_request *req, const kiro_failure *f,
    char *buf, size_t cap);

#ifdef __cplusplus
}
#endif

#endif
