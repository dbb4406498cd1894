// Any frames through both dialects: no crash, and every stream that was opened ends legally. The input is
// split into frames whose checksums are made here, as no fuzzer finds them.

#include "kiro/reply.h"

#include "support/frames.h"
#include "support/sse.h"

#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view kTypes[] = {"assistantResponseEvent", "reasoningContentEvent", "toolUseEvent",
                                       "metadataEvent",          "contextUsageEvent",     "meteringEvent",
                                       "invalidStateEvent",      "unknownEvent"};

struct Input {
    std::string_view rest;

    unsigned byte() {
        if (rest.empty()) {
            return 0;
        }
        const auto value = static_cast<unsigned char>(rest.front());
        rest.remove_prefix(1);
        return value;
    }

    std::string_view line() {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view text = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        return text;
    }
};

std::string make_stream(Input &input) {
    std::string bytes;
    while (!input.rest.empty()) {
        const unsigned kind = input.byte();
        const std::string_view text = input.line();
        const std::string_view type = kTypes[kind & 7];
        switch (kind >> 3 & 7) {
        case 0:
            bytes += test::exception(kind & 1 ? "throttlingError" : "ContentLengthExceededException", text);
            break;
        case 1:
            bytes += test::text_event(text);
            break;
        case 2:
            bytes += test::event("toolUseEvent", R"({"toolUseId":"t","name":"n",)" + std::string(text) + "}");
            break;
        case 3:
            bytes += test::tail();
            break;
        case 4:
            bytes += text; // no frame at all
            break;
        default:
            bytes += test::event(type, text);
        }
    }
    return bytes;
}

void run(const std::string &bytes, kiro_api api, bool stream, std::size_t piece, bool rude) {
    kiro_reply_options opts{};
    opts.api = api;
    opts.stream = stream;
    opts.id = {"0123456789", 10};
    opts.model = {"m", 1};
    opts.max_collect = 1 << 20;
    kiro_reply *reply = kiro_reply_create(&opts);
    std::string output;
    bool committed = false;
    const auto drain = [&] {
        const kiro_gate gate = kiro_reply_gate(reply);
        if (!committed && (gate == KIRO_GATE_COMMIT || gate == KIRO_GATE_COMPLETE)) {
            kiro_reply_commit(reply);
            committed = true;
        }
        for (kiro_str out; kiro_reply_next(reply, &out) == KIRO_OK;) {
            if (!committed) {
                std::abort();
            }
            output.append(out.data, out.len);
        }
    };
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        const std::string part = bytes.substr(at, piece);
        kiro_reply_feed(reply, part.data(), part.size());
        drain();
        kiro_reply_ping(reply);
        drain();
    }
    if (rude) {
        kiro_failure why;
        kiro_failure_set(&why, KIRO_FAIL_UPSTREAM_TIMEOUT, "late");
        kiro_reply_abort(reply, &why);
    } else {
        kiro_reply_eof(reply);
    }
    drain();
    if (!kiro_reply_done(reply) || committed != (kiro_reply_gate(reply) != KIRO_GATE_FAILED)) {
        std::abort();
    }
    kiro_reply_info info;
    kiro_reply_get_info(reply, &info);
    if (committed) {
        if (api == KIRO_API_ANTHROPIC) {
            stream ? test::read_anthropic_stream(output) : test::read_anthropic_object(output);
        } else if (api == KIRO_API_OPENAI_RESPONSES) {
            stream ? test::read_responses_stream(output) : test::read_responses_object(output);
        } else {
            stream ? test::read_openai_stream(output) : test::read_openai_object(output);
        }
    } else if (!output.empty()) {
        std::abort();
    }
    kiro_reply_free(reply);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    Input input{{reinterpret_cast<const char *>(data), size}};
    const unsigned options = input.byte();
    const std::string bytes = make_stream(input);
    const std::size_t piece = options & 1 ? 1 : options & 2 ? 37 : bytes.size() + 1;
    for (const kiro_api api : {KIRO_API_OPENAI_CHAT, KIRO_API_ANTHROPIC, KIRO_API_OPENAI_RESPONSES}) {
        for (const bool stream : {false, true}) {
            run(bytes, api, stream, piece, (options & 4) != 0);
        }
    }
    return 0;
}
