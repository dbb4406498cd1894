// Any answer to a web search, in both forms: no crash, and whatever is told is a legal message. Half of the
// inputs are the text inside the answer, which the fuzzer would have to escape to get there.

#include "kiro/reply.h"
#include "kiro/request.h"

#include "core/json/writer.h"
#include "support/sse.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kBody =
    R"({"model":"m","max_tokens":9,"messages":[{"role":"user","content":"q \"r\" \u00e9"}],"tools":[)"
    R"({"type":"web_search_20250305","name":"web_search","blocked_domains":["blocked.example/x"]}]})";

using Request = std::unique_ptr<kiro_request, decltype(&kiro_request_free)>;

Request make_request() {
    Request request(kiro_request_create(kBody.size()), kiro_request_free);
    std::memcpy(kiro_request_buffer(request.get()), kBody.data(), kBody.size());
    kiro_request_options opts{};
    opts.api = KIRO_API_ANTHROPIC;
    kiro_failure why;
    kiro_request_info info;
    if (kiro_request_parse(request.get(), &opts, &why) != KIRO_OK) {
        std::abort();
    }
    kiro_request_get_info(request.get(), &info);
    if (info.call != KIRO_CALL_SEARCH) {
        std::abort();
    }
    return request;
}

void run(const kiro_request *request, std::string_view bytes, bool stream, std::size_t piece) {
    kiro_reply_options opts{};
    opts.api = KIRO_API_ANTHROPIC;
    opts.stream = stream;
    opts.request = request;
    opts.model = {"m", 1};
    opts.id = {"0123456789", 10};
    kiro_reply *reply = kiro_reply_create(&opts);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const std::string part(bytes.substr(at, piece)); // so that a view kept too long is noticed
        kiro_reply_feed(reply, part.data(), part.size());
    }
    kiro_reply_eof(reply);
    if (kiro_reply_gate(reply) == KIRO_GATE_FAILED) {
        const kiro_failure why = *kiro_reply_failure(reply);
        if (why.retry == KIRO_RETRY_BACKOFF && kiro_reply_settle(reply, &why) != KIRO_OK) {
            std::abort();
        }
    }
    if (kiro_reply_gate(reply) != KIRO_GATE_COMPLETE) {
        std::abort();
    }
    std::string output;
    for (kiro_str out; kiro_reply_next(reply, &out) == KIRO_OK;) {
        output.append(out.data, out.len);
    }
    const test::Seen seen =
        stream ? test::read_anthropic_stream(output) : test::read_anthropic_object(output);
    if (seen.searches.size() != 1 || seen.text.empty()) {
        std::abort();
    }
    kiro_reply_free(reply);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    static const Request request = make_request();
    std::string bytes(reinterpret_cast<const char *>(data) + 1, size - 1);
    if (*data & 1) {
        bytes = R"({"jsonrpc":"2.0","result":{"content":[{"type":"text","text":")" +
                kiro::json::escaped(bytes) + R"("}]}})";
    }
    const std::size_t piece = *data & 2 ? 1 : *data & 4 ? 37 : bytes.size() + 1;
    for (const bool stream : {false, true}) {
        run(request.get(), bytes, stream, piece);
    }
    return 0;
}
