#include "core/kiro/errors.h"

#include "core/json/scan.h"
#include "core/kiro/retry_after.h"
#include "kiro/reply.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace kiro::kiro {
namespace {

using std::string_view;

struct Meaning {
    kiro_failure_kind kind;
    kiro_retry retry;
    const char *message;
    kiro_account_state account = KIRO_ACCOUNT_OK;
    kiro_change change = KIRO_CHANGE_NONE;
};

constexpr Meaning kThrottled{KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_BACKOFF,
                             "Kiro limits the rate of requests of this account; try again later.",
                             KIRO_ACCOUNT_THROTTLED};
constexpr Meaning kCooling{KIRO_FAIL_RATE_LIMITED, KIRO_RETRY_NEVER,
                           "Kiro has put temporary limits on this account; try again later.",
                           KIRO_ACCOUNT_LIMITED};
constexpr Meaning kMonthly{KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER,
                           "The Kiro subscription's quota for this month is used up.",
                           KIRO_ACCOUNT_EXHAUSTED};
constexpr Meaning kDaily{KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER,
                         "The Kiro subscription's quota for this period is used up.", KIRO_ACCOUNT_EXHAUSTED};
constexpr Meaning kOverage{KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER,
                           "The Kiro subscription's limit for overage is reached.", KIRO_ACCOUNT_EXHAUSTED};
constexpr Meaning kQuota{KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER, "The Kiro subscription's quota is used up.",
                         KIRO_ACCOUNT_EXHAUSTED};
// Of one conversation: the account can go on with others.
constexpr Meaning kConversation{KIRO_FAIL_QUOTA, KIRO_RETRY_NEVER,
                                "Kiro's limit for the length of a conversation is reached."};
constexpr Meaning kCapacity{
    KIRO_FAIL_OVERLOADED, KIRO_RETRY_BACKOFF,
    "The model has no free capacity at the moment; try again later or use another model."};
constexpr Meaning kOverflow{KIRO_FAIL_CONTEXT_OVERFLOW, KIRO_RETRY_NEVER,
                            "the conversation does not fit into the model's context window"};
constexpr Meaning kModel{KIRO_FAIL_MODEL_NOT_FOUND, KIRO_RETRY_NEVER,
                         "The model does not exist or this Kiro account may not use it; "
                         "the route \"models\" lists those that it may use."};
constexpr Meaning kSuspended{
    KIRO_FAIL_SUSPENDED, KIRO_RETRY_NEVER,
    "Kiro has suspended or locked this account; its owner must contact Kiro's support.",
    KIRO_ACCOUNT_SUSPENDED};
constexpr Meaning kDenied{KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_NEVER, "Kiro denies this account the access."};
constexpr Meaning kFeature{KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_NEVER,
                           "Kiro does not offer this feature to this account."};
constexpr Meaning kExpired{
    KIRO_FAIL_AUTH_EXPIRED, KIRO_RETRY_REFRESH,
    "Kiro refuses the gateway's access token; the operator should log in to Kiro again."};
// Said of a foreign profile ARN, but of other things as well.
constexpr Meaning kUnauthorized{KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_PROFILE,
                                "Kiro denies this account the access."};
constexpr Meaning kProfile{
    KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_PROFILE,
    "Kiro asks for a profile ARN; the operator should set profile_arn for this account."};
constexpr Meaning kOtherProfile{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_PROFILE,
                                "Kiro does not accept the profile ARN; the operator should check profile_arn "
                                "and region of this account."};
constexpr Meaning kRefused{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                           "Kiro refused the request as invalid."};
// The words make clients leave thinking blocks out.
constexpr Meaning kSignature{
    KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_CHANGED,
    "Invalid signature in thinking block: Kiro does not accept the conversation's reasoning.",
    KIRO_ACCOUNT_OK, KIRO_CHANGE_DROP_REASONING};
constexpr Meaning kFields{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_CHANGED,
                          "Kiro refused the request's reasoning settings for this model.", KIRO_ACCOUNT_OK,
                          KIRO_CHANGE_DROP_FIELDS};
constexpr Meaning kTools{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                         "Kiro refused the request: its tools, tool calls or tool results are not valid."};
// Seen in passing too, where nothing is wrong with the request.
constexpr Meaning kToolFormat{
    KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_ONCE,
    "Kiro refused the request: its tools, tool calls or tool results are not valid."};
// Clients know these by "could not process image", "image exceeds", "does not support PDF" and drop what is
// meant.
constexpr Meaning kImage{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                         "Could not process image: Kiro does not take its format."};
constexpr Meaning kImageSize{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                             "An image exceeds what Kiro takes in bytes or pixels."};
constexpr Meaning kImageCount{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                              "The request has more images than Kiro takes."};
constexpr Meaning kDocument{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                            "Kiro refused a document: its format or name is not supported."};
constexpr Meaning kDocumentModel{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                                 "The model does not support PDF documents."};
constexpr Meaning kDocumentSize{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                                "A document has more bytes or pages than Kiro takes."};
constexpr Meaning kDocumentCount{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                                 "The request has more documents than Kiro takes."};
constexpr Meaning kDocumentLocked{KIRO_FAIL_UPSTREAM_REFUSED, KIRO_RETRY_NEVER,
                                  "A document is password protected."};
constexpr Meaning kTooLarge{KIRO_FAIL_TOO_LARGE, KIRO_RETRY_NEVER, "The request is too large for Kiro."};
constexpr Meaning kNoOperation{
    KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_NEVER,
    "Kiro does not know the operation or resource; the operator should check the endpoint."};
constexpr Meaning kKey{KIRO_FAIL_ACCESS_DENIED, KIRO_RETRY_NEVER,
                       "Kiro cannot use the encryption key of this account; its owner must check it."};
constexpr Meaning kInternal{KIRO_FAIL_UPSTREAM_ERROR, KIRO_RETRY_BACKOFF, "Kiro reported an internal error."};
constexpr Meaning kUnavailable{KIRO_FAIL_UNAVAILABLE, KIRO_RETRY_BACKOFF,
                               "Kiro is unavailable at the moment."};
constexpr Meaning kTimeout{KIRO_FAIL_UPSTREAM_TIMEOUT, KIRO_RETRY_BACKOFF, "Kiro did not answer in time."};
constexpr Meaning kOdd{KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER,
                       "Kiro answered with an unexpected status; the operator should check the endpoint."};
constexpr Meaning kNoStream{
    KIRO_FAIL_UPSTREAM_PROTOCOL, KIRO_RETRY_NEVER,
    "What answered is not Kiro, or a proxy answered in its place; the operator should "
    "check the endpoint."};

struct Named {
    string_view name;
    Meaning meaning;
};

// `reason`: the most exact word the upstream has.
constexpr std::array kReasons{
    Named{"MONTHLY_REQUEST_COUNT", kMonthly},
    Named{"DAILY_REQUEST_COUNT", kDaily},
    Named{"HOURLY_REQUEST_COUNT", kDaily},
    Named{"WEEKLY_REQUEST_COUNT", kDaily},
    Named{"USAGE_LIMIT_REACHED", kQuota},
    Named{"OVERAGE_REQUEST_LIMIT_EXCEEDED", kOverage},
    Named{"CONVERSATION_LIMIT_EXCEEDED", kConversation},
    Named{"CREDIT_CONSUMPTION_RATE_EXCEEDED", kThrottled},
    Named{"SERVICE_REQUEST_RATE_EXCEEDED", kThrottled},
    Named{"USER_REQUEST_RATE_EXCEEDED", kThrottled},
    Named{"INSUFFICIENT_MODEL_CAPACITY", kCapacity},
    Named{"MODEL_TEMPORARILY_UNAVAILABLE", kCapacity},
    Named{"CONTENT_LENGTH_EXCEEDS_THRESHOLD", kOverflow},
    Named{"PROMPT_TOO_LONG", kOverflow},
    Named{"INVALID_MODEL_ID", kModel},
    Named{"TEMPORARILY_SUSPENDED", kSuspended},
    Named{"FEATURE_NOT_SUPPORTED", kFeature},
    Named{"UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS", kDenied},
    Named{"UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS", kDenied},
    Named{"INVALID_KMS_GRANT", kKey},
    Named{"CUSTOMER_KMS_KEY_DISABLED", kKey},
    Named{"CUSTOMER_KMS_KEY_INVALID_KEY_POLICY", kKey},
    Named{"MISMATCHED_KMS_KEY", kKey},
    Named{"THINKING_SIGNATURE_INVALID", kSignature},
    Named{"TOOL_CONFIG_MISSING", kTools},
    Named{"TOOL_DUPLICATE", kTools},
    Named{"TOOL_SCHEMA_INVALID", kTools},
    Named{"TOOL_USE_RESULT_MISMATCH", kTools},
    Named{"IMAGE_COUNT_EXCEEDED", kImageCount},
    Named{"IMAGE_DIMENSION_EXCEEDED", kImageSize},
    Named{"IMAGE_FORMAT_UNSUPPORTED", kImage},
    Named{"IMAGE_MIME_MISMATCH", kImage},
    Named{"IMAGE_SIZE_EXCEEDED", kImageSize},
    Named{"DISALLOWED_FILE_TYPE", kDocument},
    Named{"INVALID_DOCUMENT_NAME", kDocument},
    Named{"DOCUMENT_COUNT_EXCEEDED", kDocumentCount},
    Named{"DOCUMENT_DUPLICATE_NAME", kDocument},
    Named{"DOCUMENT_MAXIMUM_PAGES_EXCEEDED", kDocumentSize},
    Named{"DOCUMENT_MODEL_NOT_SUPPORTED", kDocumentModel},
    Named{"DOCUMENT_PASSWORD_PROTECTED", kDocumentLocked},
    Named{"DOCUMENT_SIZE_EXCEEDED", kDocumentSize},
    Named{"INVALID_CONVERSATION_ID", kRefused},
    Named{"REQUEST_BODY_INVALID", kRefused},
    Named{"REQUEST_BODY_INVALID_JSON", kRefused},
    Named{"UNSUPPORTED_LANGUAGE", kRefused},
};

// Statuses under which a text counts. An exception in a stream has no status.
enum Under : unsigned {
    kNowhere = 0,
    kInStream = 1,
    k400 = 2,
    kAuth = 4, // 401, 403
    k423 = 8,
    k429 = 16,
    kOther4xx = 32,
    k5xx = 64,
    kAny4xx = k400 | kAuth | k423 | k429 | kOther4xx,
    kAnywhere = kAny4xx | k5xx | kInStream,
};

struct Text {
    string_view text; // lower case
    unsigned under;
    Meaning meaning;
};

// Refusals of additionalModelRequestFields. They come with the reason of any bad request, or with none, so
// these texts are looked for before a reason counts that says no more than that.
constexpr unsigned kBadRequest = k400 | kInStream;
constexpr std::array kFieldTexts{
    Text{"additionalmodelrequestfields", kBadRequest, kFields},
    Text{"is not defined in the schema", kBadRequest, kFields},
    Text{"property '", kBadRequest, kFields},
};

// Looked for in the whole body, so that HTML and cut JSON are understood too. The first match counts.
constexpr std::array kTexts{
    Text{"input is too long", k400 | kOther4xx | kInStream, kOverflow},
    Text{"input content length exceeds", k400 | kOther4xx | kInStream, kOverflow},
    Text{"context window is full", k400 | kOther4xx | kInStream, kOverflow},
    Text{"insufficient_model_capacity", kAnywhere, kCapacity},
    Text{"unexpectedly high load", kAnywhere, kCapacity},
    Text{"i am experiencing high traffic", kAnywhere, kCapacity},
    Text{"monthly_request_count", kAny4xx | kInStream, kMonthly},
    Text{"maximum request reached for this month", kAny4xx | kInStream, kMonthly},
    Text{"temporary limits", kAny4xx | kInStream, kCooling},
    Text{"bearer token included in the request", k400 | kAuth | kInStream, kExpired},
    Text{"security token included in the request", k400 | kAuth | kInStream, kExpired},
    Text{"bearer token", kAuth, kExpired},
    Text{"invalid token", kAuth, kExpired},
    Text{"token has expired", kAuth, kExpired},
    Text{"token is expired", kAuth, kExpired},
    Text{"suspended", kAuth | k423, kSuspended},
    Text{"unusual user activity", kAuth | k423, kSuspended},
    Text{" locked", kAuth | k423, kSuspended},
    Text{"suspicious activity", kAny4xx | kInStream, kCooling},
    Text{"too many requests, please wait", kAny4xx | kInStream, kThrottled},
    Text{"profilearn is required", kAny4xx | kInStream, kProfile},
    Text{"invalid profilearn", kAny4xx | kInStream, kOtherProfile},
    Text{"user is not authorized to make this call", kAuth | kInStream, kUnauthorized},
    Text{"invalid tool use format", k400 | kInStream, kToolFormat},
    Text{"invalid model", k400 | kInStream, kModel},
    Text{"you have reached the limit", k400 | kOther4xx | kInStream, kQuota},
};

// Exceptions by shape name, and by the names of the stream union's members.
constexpr std::array kTypes{
    Named{"ThrottlingException", kThrottled},
    Named{"throttlingError", kThrottled},
    Named{"TooManyRequestsException", kThrottled},
    Named{"ServiceQuotaExceededException", kQuota},
    Named{"AccessDeniedException", kDenied},
    Named{"ExpiredTokenException", kExpired},
    Named{"InvalidTokenException", kExpired},
    Named{"UnrecognizedClientException", kExpired},
    Named{"ValidationException", kRefused},
    Named{"validationError", kRefused},
    Named{"SerializationException", kRefused},
    Named{"ContentLengthExceededException", kOverflow},
    Named{"ConflictException", kKey},
    Named{"ResourceNotFoundException", kNoOperation},
    Named{"UnknownOperationException", kNoOperation},
    Named{"InternalServerException", kInternal},
    Named{"InternalFailure", kInternal},
    Named{"error", kInternal},
    Named{"ModelStreamErrorException", kInternal},
    Named{"ModelTimeoutException", kTimeout},
    Named{"ModelNotReadyException", kCapacity},
    Named{"ServiceUnavailableException", kUnavailable},
    Named{"serviceUnavailableError", kUnavailable},
};

struct Status {
    int status;
    Meaning meaning;
};

constexpr std::array kStatuses{
    Status{400, kRefused},     Status{401, kExpired},     Status{402, kQuota},       Status{403, kDenied},
    Status{404, kNoOperation}, Status{405, kNoOperation}, Status{408, kTimeout},     Status{413, kTooLarge},
    Status{423, kSuspended},   Status{429, kThrottled},   Status{503, kUnavailable}, Status{504, kTimeout},
};

constexpr std::size_t kLookedAt = 64 * 1024;

unsigned under(int status) noexcept {
    switch (status) {
    case 0:
        return kInStream;
    case 400:
        return k400;
    case 401:
    case 403:
        return kAuth;
    case 423:
        return k423;
    case 429:
        return k429;
    default:
        return status >= 500 ? k5xx : status >= 400 ? kOther4xx : kNowhere;
    }
}

char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool contains(string_view haystack, string_view needle) noexcept {
    return std::search(haystack.begin(), haystack.end(), needle.begin(), needle.end(),
                       [](char a, char b) { return lower(a) == b; }) != haystack.end();
}

// Apart from case and a full stop.
bool equal(string_view text, string_view lower_case) noexcept {
    text = text.substr(0, text.find_last_not_of(". ") + 1);
    return text.size() == lower_case.size() && contains(text, lower_case);
}

template <class Table> const Meaning *find_name(const Table &table, string_view name) noexcept {
    for (const auto &row : table) {
        if (row.name == name) {
            return &row.meaning;
        }
    }
    return nullptr;
}

struct Body {
    string_view type;
    string_view reason;
    string_view message;
    std::uint64_t wait = 0; // ms
};

// Members of an error body; of a cut one those that are whole.
Body read_body(string_view text) noexcept {
    Body body;
    json::ObjectScanner scanner(text);
    json::Member member;
    while (scanner.next(member)) {
        if (member.kind == json::Kind::string) {
            if (member.key == "__type") {
                body.type = exception_name(member.value);
            } else if (member.key == "reason") {
                body.reason = member.value;
            } else if (member.key == "message" || member.key == "Message") {
                body.message = member.value;
            }
        } else if (member.kind == json::Kind::number && member.key == "retryAfterMilliseconds") {
            body.wait = json::to_uint(member.value).value_or(0);
        }
    }
    return body;
}

Meaning by_status(int status) noexcept {
    for (const Status &row : kStatuses) {
        if (row.status == status) {
            return row.meaning;
        }
    }
    if (status == 0 || status >= 500) {
        return kInternal;
    }
    return status >= 400 ? kRefused : kOdd;
}

template <class Table>
const Meaning *find_text(const Table &table, const Refusal &refusal, unsigned where) noexcept {
    for (const Text &row : table) {
        if ((row.under & where) != 0 &&
            (contains(refusal.body, row.text) || contains(refusal.message, row.text))) {
            return &row.meaning;
        }
    }
    return nullptr;
}

// What a text alone says about a request that was bad may be the client's own words.
Meaning without_account(Meaning meaning) noexcept {
    meaning.account = KIRO_ACCOUNT_OK;
    return meaning;
}

Meaning meaning_of(const Refusal &refusal, const Body &body) noexcept {
    const bool ok = refusal.status == 200; // whose body is no stream: an exception, or a stranger's page
    const unsigned where = ok ? kInStream : under(refusal.status);
    if (where == kNowhere) {
        return kOdd;
    }
    if (ok && body.reason.empty() && body.type.empty() && refusal.type.empty()) {
        return kNoStream;
    }
    const bool unspecific = body.reason.empty() || body.reason == "REQUEST_BODY_INVALID";
    if (const Meaning *meaning = unspecific ? find_text(kFieldTexts, refusal, where) : nullptr) {
        return *meaning;
    }
    if (const Meaning *meaning = find_name(kReasons, body.reason)) {
        return *meaning;
    }
    if (const Meaning *meaning = find_text(kTexts, refusal, where)) {
        return where == k400 || where == kInStream ? without_account(*meaning) : *meaning;
    }
    // All that some hosts say with 400; more words would be about something else.
    if (where == k400 && equal(body.message, "invalid token")) {
        return kExpired;
    }
    // A status says more than a bare exception name where both speak of the login or of limits.
    if (refusal.status == 401 || refusal.status == 402 || refusal.status == 423 || refusal.status == 429) {
        return by_status(refusal.status);
    }
    if (const Meaning *meaning = find_name(kTypes, body.type)) {
        return *meaning;
    }
    if (const Meaning *meaning = find_name(kTypes, exception_name(refusal.type))) {
        return *meaning;
    }
    return ok ? kNoStream : by_status(refusal.status);
}

// A word of the service's own: anything else may be the client's, or a secret.
bool is_reason(string_view text) noexcept {
    return !text.empty() && text.size() < sizeof(kiro_failure::reason) &&
           std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
}

void keep_reason(const Refusal &refusal, const Body &body, kiro_failure &failure) noexcept {
    string_view word;
    if (is_reason(body.reason)) {
        word = body.reason;
    } else if (find_name(kTypes, body.type) != nullptr) {
        word = body.type;
    } else if (find_name(kTypes, exception_name(refusal.type)) != nullptr) {
        word = exception_name(refusal.type);
    }
    failure.reason[word.copy(failure.reason, sizeof(failure.reason) - 1)] = '\0';
}

} // namespace

string_view exception_name(string_view type) noexcept {
    // A URI may follow the name: "Name:http://...", so it is cut before a '#' is looked for.
    type = type.substr(0, type.find(':'));
    const std::size_t hash = type.rfind('#');
    return hash == type.npos ? type : type.substr(hash + 1);
}

void classify(const Refusal &full, kiro_failure &failure) noexcept {
    Refusal refusal = full;
    refusal.body = refusal.body.substr(0, kLookedAt);

    const Body body = read_body(refusal.body);
    const Meaning meaning = meaning_of(refusal, body);
    const std::uint64_t wait =
        std::min(std::max(body.wait, retry_after_ms(refusal.retry_after, refusal.now)), kLongestWait);
    kiro_failure_set(&failure, meaning.kind, "%s", meaning.message);
    failure.retry = meaning.retry;
    failure.change = meaning.change;
    failure.account_state = meaning.account;
    failure.upstream_status = refusal.status;
    keep_reason(refusal, body, failure);
    kiro_failure_lasts(&failure, static_cast<std::uint32_t>(wait));
}

} // namespace kiro::kiro

extern "C" void kiro_failure_lasts(kiro_failure *f, std::uint32_t ms) {
    f->retry_after_ms = ms;
    if (ms > 0 && f->kind == KIRO_FAIL_RATE_LIMITED) {
        // Codex reads the delay from the words.
        (void)std::snprintf(f->message, sizeof(f->message),
                            "Kiro limits the rate of requests of this account; try again in %us.",
                            static_cast<unsigned>((ms - 1) / 1000 + 1));
    }
}

extern "C" void kiro_upstream_failure(int status, kiro_str error_type, kiro_str retry_after, kiro_str body,
                                      kiro_failure *f) {
    const auto view = [](kiro_str text) { return std::string_view(text.data, text.len); };
    ::kiro::kiro::classify({.status = status,
                            .type = view(error_type),
                            .body = view(body),
                            .message = {},
                            .retry_after = view(retry_after),
                            .now = static_cast<std::int64_t>(std::time(nullptr))},
                           *f);
}
