#include "core/kiro/management.h"

#include <algorithm>

#include "core/json/raw.h"
#include "core/json/validate.h"
#include "core/kiro/credential.h"
#include "core/kiro/errors.h"

namespace kiro::kiro {

namespace {

bool is_header_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    });
}

const char *hint(int status) {
    return status >= 300 && status < 400                     ? "a redirect, check management_endpoint"
           : status == 404 || status == 405 || status == 415 ? "no such service there, check "
                                                               "management_endpoint"
                                                             : nullptr;
}

} // namespace

std::optional<Secret> management_request(const ManagementCall &call, kiro_failure *f) {
    if (!is_token(call.token)) {
        kiro_failure_set(f, KIRO_FAIL_LOGIN_REQUIRED, "there is no access token");
        return std::nullopt;
    }
    if (!is_token(call.host) || !is_header_text(call.user_agent) ||
        (!call.prefix.empty() && (!is_token(call.prefix) || call.prefix.front() != '/'))) {
        kiro_failure_set(f, KIRO_FAIL_INTERNAL, "the management endpoint or the user agent is malformed");
        return std::nullopt;
    }
    Secret out;
    out.reserve(call.body.size() + call.token.size() + call.prefix.size() + call.host.size() +
                call.user_agent.size() + 512);
    out.append("POST ");
    out.append(call.prefix);
    out.append(call.prefix.ends_with('/') ? "" : "/");
    out.append(" HTTP/1.1\r\nHost: ");
    out.append(call.host);
    if (!call.user_agent.empty()) {
        out.append("\r\nUser-Agent: ");
        out.append(call.user_agent);
    }
    out.append("\r\nAuthorization: Bearer ");
    out.append(call.token);
    if (call.login == KIRO_LOGIN_API_KEY)
        out.append("\r\nTokenType: API_KEY");
    else if (call.login == KIRO_LOGIN_EXTERNAL)
        out.append("\r\nTokenType: EXTERNAL_IDP");
    out.append("\r\nContent-Type: application/x-amz-json-1.0"
               "\r\nX-Amz-Target: KiroControlPlaneBearerService.");
    out.append(call.operation);
    out.append("\r\nx-amzn-codewhisperer-optout: true"
               "\r\nAccept: application/json\r\nContent-Length: ");
    out.append(std::to_string(call.body.size()));
    out.append("\r\nConnection: close\r\n\r\n");
    out.append(call.body);
    return out;
}

kiro_status management_refused(int status, std::string_view type, std::string_view body, kiro_failure *f) {
    kiro_failure reason;
    Refusal refusal;
    refusal.status = status;
    refusal.type = type;
    refusal.body = body;
    classify(refusal, reason);
    const char *text = hint(status);
    kiro_failure_set(f, reason.kind, "the management host answered %d: %s", status,
                     text != nullptr ? text : reason.message);
    f->retry_after_ms = reason.retry_after_ms;
    f->upstream_status = status;
    return KIRO_ERROR;
}

kiro_status management_unusable(kiro_failure *f, const char *what) {
    kiro_failure_set(f, KIRO_FAIL_UPSTREAM_PROTOCOL, "the management host's answer %s", what);
    f->upstream_status = 200;
    return KIRO_ERROR;
}

bool is_management_page(std::string_view body, kiro_failure *f) {
    if (!json::validate(body)) {
        management_unusable(f, "is not JSON, check management_endpoint");
        return false;
    }
    if (body[body.find_first_not_of(" \t\r\n")] != '{') {
        management_unusable(f, "is no JSON object, check management_endpoint");
        return false;
    }
    return true;
}

std::string text_of(json::Value value) {
    constexpr size_t max_text = 4096;
    if (!value.is_string())
        return {};
    std::string text = json::unescaped(value.string());
    if (text.size() > max_text)
        text.clear();
    for (char &c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            c = ' ';
    }
    return text;
}

} // namespace kiro::kiro
