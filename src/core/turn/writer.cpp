#include "core/turn/writer.h"

#include "core/json/raw.h"
#include "core/json/surrogates.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

#include <algorithm>

namespace kiro::turn {
namespace {

using std::string_view;

constexpr std::size_t kMaxModel = 256;

template <class Stream, class Object>
Writer make_either(bool stream, const chat::ReplyHead &head, const chat::ReplyContext &context) {
    if (stream) {
        return Stream(head, context);
    }
    return Object(head, context);
}

} // namespace

Writer make_writer(kiro_api api, bool stream, const chat::ReplyHead &head,
                   const chat::ReplyContext &context) {
    switch (api) {
    case KIRO_API_ANTHROPIC:
        return make_either<anthropic::StreamWriter, anthropic::Collector>(stream, head, context);
    case KIRO_API_OPENAI_RESPONSES:
        return make_either<openai_responses::StreamWriter, openai_responses::Collector>(stream, head,
                                                                                        context);
    case KIRO_API_OPENAI_CHAT:
        break;
    }
    return make_either<openai_chat::StreamWriter, openai_chat::Collector>(stream, head, context);
}

std::string shown_model(string_view model) {
    std::string quoted;
    json::append_raw_string(quoted, model);
    std::string raw(json::validate(quoted) ? std::string(model) : json::escaped(model));

    std::size_t size = 0;
    while (size < raw.size()) {
        std::size_t step = 1;
        if (raw[size] == '\\') {
            step = raw[size + 1] == 'u' ? 6 : 2;
        } else {
            step = std::max<std::size_t>(json::utf8_sequence(string_view(raw).substr(size)), 1);
        }
        if (size + step > kMaxModel) {
            break;
        }
        size += step;
    }
    json::SurrogateJoiner joiner; // a pair that was cut loses its first half too
    return std::string(joiner.join(string_view(raw).substr(0, size), true));
}

} // namespace kiro::turn
