#include "core/turn/writer.h"

#include "core/json/character.h"
#include "core/json/surrogates.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

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

    json::SurrogateJoiner joiner; // halves of a pair have no place in it
    return std::string(joiner.join(json::slice(raw, kMaxModel), true));
}

} // namespace kiro::turn
