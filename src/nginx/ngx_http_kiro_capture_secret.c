
/*
 * What must not be seen in a capture: the secrets of the client, and those of
 * the accounts.
 */


#include "ngx_http_kiro.h"
#include "ngx_http_kiro_account.h"
#include "ngx_http_kiro_capture.h"
#include "ngx_http_kiro_zone.h"


static ngx_uint_t ngx_http_kiro_capture_secretive(ngx_str_t *name);
static void ngx_http_kiro_capture_secrets(ngx_http_kiro_capture_t *capture,
    ngx_str_t *value);
static void ngx_http_kiro_capture_basic(ngx_http_kiro_capture_t *capture,
    ngx_str_t *text);
static void ngx_http_kiro_capture_login(ngx_http_kiro_capture_t *capture,
    ngx_http_kiro_account_t *account, u_char *buf);


/* "*" at the end: whatever follows */

static const char  *ngx_http_kiro_capture_harmless_names[] = {
    "accept", "accept-charset", "accept-encoding", "accept-language",
    "anthropic-*", "cache-control", "connection", "content-encoding",
    "content-length", "content-type", "date", "expect", "host", "keep-alive",
    "openai-beta", "openai-version", "retry-after", "server", "te",
    "transfer-encoding", "upgrade", "user-agent", "via", "x-amz-target",
    "x-amz-request-id", "x-amz-id-2", "x-amzn-codewhisperer-optout",
    "x-amzn-errortype", "x-amzn-kiro-agent-mode", "x-amzn-requestid", "x-app",
    "x-stainless-*", "amz-sdk-*", "tokentype", NULL
};


/* parts of the names of those that hold a secret */

static const char  *ngx_http_kiro_capture_secret_names[] = {
    "auth", "cookie", "key", "password", "passwd", "secret", "token", NULL
};


/* of a header whose name says so */

void
ngx_http_kiro_capture_hide(ngx_http_kiro_capture_t *capture, ngx_str_t *name,
    ngx_str_t *value)
{
    if (ngx_http_kiro_capture_secretive(name)) {
        ngx_http_kiro_capture_secrets(capture, value);
    }
}


/* a value may be shown */

ngx_uint_t
ngx_http_kiro_capture_harmless(ngx_str_t *name)
{
    size_t        len;
    const char  **s;

    for (s = ngx_http_kiro_capture_harmless_names; *s; s++) {

        len = ngx_strlen(*s);

        if ((*s)[len - 1] == '*') {

            if (name->len >= len - 1
                && ngx_strncasecmp(name->data, (u_char *) *s, len - 1) == 0)
            {
                return 1;
            }

        } else if (name->len == len
                   && ngx_strncasecmp(name->data, (u_char *) *s, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_kiro_capture_secretive(ngx_str_t *name)
{
    const char  **s;

    if (ngx_http_kiro_capture_harmless(name)) {
        return 0;
    }

    for (s = ngx_http_kiro_capture_secret_names; *s; s++) {
        if (ngx_strlcasestrn(name->data, name->data + name->len, (u_char *) *s,
                             ngx_strlen(*s) - 1))
        {
            return 1;
        }
    }

    return 0;
}


/* the words of a header: "Bearer KEY", "a=SECRET; b=SECRET", "Basic BASE64" */

static void
ngx_http_kiro_capture_secrets(ngx_http_kiro_capture_t *capture,
    ngx_str_t *value)
{
    u_char     *p, *last, *eq;
    kiro_str    word;
    ngx_str_t   text;

    kiro_capture_secret(capture->data, ngx_http_kiro_str(value));

    p = value->data;
    last = value->data + value->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ';' || *p == ',')) {
            p++;
        }

        text.data = p;

        while (p < last && *p != ' ' && *p != ';' && *p != ',') {
            p++;
        }

        text.len = p - text.data;

        if (text.len == 0) {
            break;
        }

        /* "Bearer" is no secret, and short words are everywhere */

        if (text.len == sizeof("Bearer") - 1
            && ngx_strncasecmp(text.data, (u_char *) "Bearer", text.len) == 0)
        {
            continue;
        }

        kiro_capture_secret(capture->data, ngx_http_kiro_str(&text));

        eq = ngx_strlchr(text.data, p, '=');

        if (eq && eq + 1 < p) {
            word.data = (char *) eq + 1;
            word.len = p - (eq + 1);
            kiro_capture_secret(capture->data, word);
        }
    }

    if (value->len > 6
        && ngx_strncasecmp(value->data, (u_char *) "Basic ", 6) == 0)
    {
        text.data = value->data + 6;
        text.len = value->len - 6;

        ngx_http_kiro_capture_basic(capture, &text);
    }
}


/* the password of "user:password" in base64 */

static void
ngx_http_kiro_capture_basic(ngx_http_kiro_capture_t *capture, ngx_str_t *text)
{
    u_char     *p, buf[1024];
    kiro_str    password;
    ngx_str_t   user;

    user.data = buf;

    if (ngx_base64_decoded_length(text->len) <= sizeof(buf)
        && ngx_decode_base64(&user, text) == NGX_OK)
    {
        p = ngx_strlchr(user.data, user.data + user.len, ':');

        if (p) {
            password.data = (char *) p + 1;
            password.len = user.data + user.len - (p + 1);
            kiro_capture_secret(capture->data, password);
        }
    }

    ngx_explicit_memzero(buf, sizeof(buf));
}


/* of the request line */

void
ngx_http_kiro_capture_args(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture)
{
    u_char     *p, *last, *end, *eq, *dst, *src;
    ngx_str_t   name, value;

    p = r->args.data;
    last = p + r->args.len;

    for ( /* void */ ; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        eq = ngx_strlchr(p, end, '=');
        if (eq == NULL) {
            continue;
        }

        name.data = p;
        name.len = eq - p;
        value.data = eq + 1;
        value.len = end - (eq + 1);

        if (!ngx_http_kiro_capture_secretive(&name)) {
            continue;
        }

        kiro_capture_secret(capture->data, ngx_http_kiro_str(&value));

        src = value.data;
        dst = ngx_pnalloc(r->pool, value.len);
        if (dst == NULL) {
            return;
        }

        value.data = dst;
        ngx_unescape_uri(&dst, &src, value.len, 0);
        value.len = dst - value.data;

        kiro_capture_secret(capture->data, ngx_http_kiro_str(&value));
    }
}


/* of kiro_set_header, also where no attempt came as far */

void
ngx_http_kiro_capture_headers(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture)
{
    ngx_str_t                    value;
    ngx_uint_t                   i;
    ngx_http_kiro_ctx_t         *ctx;
    ngx_http_kiro_set_header_t  *h;

    for (ctx = capture->ctx; ctx; ctx = ctx->before) {

        if (ctx->conf->headers == NULL) {
            continue;
        }

        h = ctx->conf->headers->elts;

        for (i = 0; i < ctx->conf->headers->nelts; i++) {
            if (ngx_http_complex_value(r, &h[i].value, &value) == NGX_OK) {
                ngx_http_kiro_capture_hide(capture, &h[i].name, &value);
            }
        }
    }
}


/* of all accounts, as they are now: people paste what they find into prompts */

void
ngx_http_kiro_capture_accounts(ngx_http_request_t *r,
    ngx_http_kiro_capture_t *capture)
{
    u_char                      *buf;
    ngx_uint_t                   i;
    ngx_http_kiro_account_t    **account;
    ngx_http_kiro_main_conf_t   *kmcf;

    buf = kiro_secret_alloc(NGX_HTTP_KIRO_RECORD_MAX);

    if (buf == NULL) {

        /* rather nothing than what may hold a secret */

        kiro_capture_free(capture->data);
        capture->data = NULL;
        return;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_kiro_module);

    account = kmcf->accounts.elts;

    for (i = 0; i < kmcf->accounts.nelts; i++) {

        if (account[i]->proxy_authorization.len) {
            kiro_capture_secret(capture->data,
                           ngx_http_kiro_str(&account[i]->proxy_authorization));
            ngx_http_kiro_capture_basic(capture,
                                        &account[i]->proxy_authorization);
        }

        kiro_capture_arn(capture->data,
                         ngx_http_kiro_str(&account[i]->profile_arn));

        if (account[i]->slot) {
            ngx_http_kiro_capture_login(capture, account[i], buf);
        }
    }

    kiro_secret_free(buf, NGX_HTTP_KIRO_RECORD_MAX);
}


/* the active half of the slot, and the one before it: it may still be valid */

static void
ngx_http_kiro_capture_login(ngx_http_kiro_capture_t *capture,
    ngx_http_kiro_account_t *account, u_char *buf)
{
    u_char                       arn[NGX_HTTP_KIRO_ARN_MAX];
    kiro_str                     record, told;
    ngx_uint_t                   i;
    ngx_http_kiro_slot_t        *slot;
    ngx_http_kiro_token_data_t  *data;

    slot = account->slot;

    record.data = (char *) buf;
    told.data = (char *) arn;

    for (i = 0; i < 2; i++) {

        data = &slot->data[i];

        ngx_shmtx_lock(&account->zone->shpool->mutex);

        record.len = ngx_min(data->record_len, NGX_HTTP_KIRO_RECORD_MAX);
        ngx_memcpy(buf, data->record, record.len);

        told.len = ngx_min(data->arn_len, NGX_HTTP_KIRO_ARN_MAX);
        ngx_memcpy(arn, data->arn, told.len);

        ngx_shmtx_unlock(&account->zone->shpool->mutex);

        kiro_capture_login(capture->data, record);
        kiro_capture_arn(capture->data, told);
    }

    ngx_shmtx_lock(&account->zone->shpool->mutex);

    told.len = ngx_min(slot->profile.arn_len, NGX_HTTP_KIRO_ARN_MAX);
    ngx_memcpy(arn, slot->profile.arn, told.len);

    ngx_shmtx_unlock(&account->zone->shpool->mutex);

    kiro_capture_arn(capture->data, told);
}
