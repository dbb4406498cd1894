#include "core/openai_responses/echo.h"

#include <array>

#include "core/json/writer.h"

namespace kiro::openai_responses {

namespace {

struct Member {
    std::string_view key;
    std::string_view absent; // what stands for null and for nothing
};

constexpr std::array members{
    Member{"instructions", "null"},
    Member{"max_output_tokens", "null"},
    Member{"max_tool_calls", "null"},
    Member{"metadata", "{}"},
    Member{"parallel_tool_calls", "true"},
    Member{"previous_response_id", "null"},
    Member{"prompt_cache_key", "null"},
    Member{"reasoning", R"({"effort":null,"summary":null})"},
    Member{"safety_identifier", "null"},
    Member{"service_tier", R"("default")"},
    Member{"store", "false"}, // nothing is
    Member{"temperature", "1"},
    Member{"text", R"({"format":{"type":"text"},"verbosity":"medium"})"},
    Member{"tool_choice", R"("auto")"},
    Member{"tools", "[]"},
    Member{"top_logprobs", "0"},
    Member{"top_p", "1"},
    Member{"truncation", R"("disabled")"},
    Member{"user", "null"},
};

} // namespace

bool Echo::take(std::string_view key, std::string_view raw) {
    static_assert(members.size() == kMembers);
    for (size_t i = 0; i < members.size(); i++) {
        if (members[i].key == key) {
            given_[i] = raw == "null" ? std::string_view() : raw;
            return true;
        }
    }
    return false;
}

std::string Echo::text() const {
    std::string out;
    for (size_t i = 0; i < members.size(); i++) {
        out += '"';
        out += members[i].key;
        out += "\":";
        if (given_[i].empty())
            out += members[i].absent;
        else // a client may write its JSON over many lines, an event's data is one
            json::append_minified(out, given_[i]);
        out += ',';
    }
    return out;
}

std::string default_echo() {
    return Echo().text();
}

} // namespace kiro::openai_responses
