#include "tools/random_request.h"

#include <iterator>
#include <random>
#include <string_view>
#include <vector>

#include "core/kiro/seal.h"

namespace kiro::test {

namespace {

constexpr std::string_view png =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
constexpr std::string_view pdf = "JVBERi0xLjQKJcOkw7zDtsOf";

constexpr std::string_view texts[] = {"",
                                      " ",
                                      "\\n\\t",
                                      "Hello",
                                      "\\u00a0",
                                      "\\ud83d",
                                      "\\ude00 \\ud83d\\ude00",
                                      "caf\xC3\xA9 \xE4\xB8\xAD",
                                      "a \\\"quote\\\" and \\\\",
                                      "<total_tokens>1</total_tokens>",
                                      "x-anthropic-billing-header: a\\nb",
                                      ".",
                                      "[image 1 of this message]",
                                      "error: no",
                                      "{\\\"a\\\":1}",
                                      "line\\u2028end"};
constexpr std::string_view ids[] = {
    "a",        "b",          "call_1",
    "call_1",   "toolu|1\\n", "\\u0069d",
    "\xC3\xBC", "x.y",        "0123456789012345678901234567890123456789012345678901234567890123456789"};
constexpr std::string_view names[] = {
    "look",         "Look", "LOOK",
    "mcp.server/x", "2fa",  "\xD0\xBF\xD0\xBE",
    "a b",          "f",    "n1234567890123456789012345678901234567890123456789012345678901234567890"};
constexpr std::string_view models[] = {"claude-sonnet-4.5", "claude-opus-4.6", "claude-opus-5.5"};
constexpr std::string_view choices[] = {",", R"(,"parallel_tool_calls":false,)",
                                        R"(,"tool_choice":"required",)", R"(,"tool_choice":"none",)"};
constexpr std::string_view efforts[] = {"low", "high", "minimal"};
constexpr std::string_view inputs[] = {"{}", R"({"a":1})", R"({"a":{"b":[null,true,"\ud83d"]}})",
                                       R"({ "spaced" : [ 1 , 2 ] })"};
constexpr std::string_view schemas[] = {
    R"({})",
    R"({"type":"object","properties":{}})",
    R"({"type":"string"})",
    R"({"type":"object","properties":{"a":{"type":["string","null"],"pattern":"^x"},"b":null,"c":true},"required":[]})",
    R"({"anyOf":[{"properties":{"a":{}},"required":["a"]},{"$ref":"#/$defs/A"}],"$defs":{"A":{"properties":{"n":{"$ref":"#/$defs/A"}}}}})",
    R"({"properties":{"p":{"oneOf":[{"const":1},{"const":null},{"enum":["x"]}]},"q":{"type":"array","items":[{"type":"string"},{}]}},"required":["p",1,null],"additionalProperties":false,"not":{}})",
    R"({"properties":{"p":{"anyOf":[{"type":"string"},{"type":"object","allOf":[{"required":["z"]}],"minProperties":1}],"default":99999999999}},"required":null})"};

class Maker {
public:
    explicit Maker(uint64_t seed) : random(seed), model(pick(models)) {}

    RandomRequest make() {
        switch (below(3)) {
        case 0:
            return {KIRO_API_ANTHROPIC, anthropic()};
        case 1:
            return {KIRO_API_OPENAI_CHAT, openai()};
        default:
            return {KIRO_API_OPENAI_RESPONSES, responses()};
        }
    }

private:
    std::mt19937_64 random;
    std::string model;

    size_t below(size_t n) { return random() % n; }
    bool maybe(size_t one_in) { return below(one_in) == 0; }
    template <size_t N> std::string pick(const std::string_view (&from)[N]) {
        return std::string(from[below(N)]);
    }
    std::string text() { return "\"" + pick(texts) + "\""; }

    template <class Make> std::string list(size_t least, size_t most, Make &&item) {
        std::string out = "[";
        size_t n = least + below(most - least + 1);
        for (size_t i = 0; i < n; i++)
            out += (i > 0 ? "," : "") + item();
        return out + "]";
    }

    std::string text_part(const char *type) {
        return std::string(R"({"type":")") + type + R"(","text":)" + text() + "}";
    }

    std::string anthropic_image() {
        return R"({"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":")" +
               std::string(png) + "\"}}";
    }

    std::string anthropic_result() {
        std::string out = R"({"type":"tool_result","tool_use_id":")" + pick(ids) + "\"";
        if (maybe(4))
            out += R"(,"is_error":true)";
        if (maybe(3))
            out += R"(,"content":)" + text();
        else if (!maybe(4))
            out += R"(,"content":)" +
                   list(0, 3, [&] { return maybe(3) ? anthropic_image() : text_part("text"); });
        return out + "}";
    }

    std::string anthropic_user_block() {
        switch (below(8)) {
        case 0:
        case 1:
        case 2:
            return anthropic_result();
        case 3:
            return anthropic_image();
        case 4:
            return R"({"type":"document","title":)" + text() +
                   R"(,"source":{"type":"base64","media_type":"application/pdf","data":")" +
                   std::string(pdf) + "\"}}";
        case 5:
            return R"({"type":"document","title":)" + text() +
                   R"(,"source":{"type":"text","media_type":"text/plain","data":)" + text() + "}}";
        default:
            return text_part("text");
        }
    }

    // As our own answer had it.
    std::string own_thinking() {
        const std::string thought = pick(texts);
        kiro::SealedText sealed;
        sealed.add(thought);
        const std::string key = kiro::seal_key({}, model);
        if (maybe(3))
            return R"({"type":"redacted_thinking","data":")" +
                   kiro::seal(kiro::SealKind::redacted, key, sealed, "b3BhcXVl") + "\"}";
        return R"({"type":"thinking","thinking":")" + thought + R"(","signature":")" +
               kiro::seal(kiro::SealKind::text, key, sealed, "c2lnbmVk") + "\"}";
    }

    std::string anthropic_assistant_block() {
        switch (below(7)) {
        case 0:
        case 1:
        case 2:
            return R"({"type":"tool_use","id":")" + pick(ids) + R"(","name":")" + pick(names) +
                   R"(","input":)" + pick(inputs) + "}";
        case 3:
            return maybe(2)
                       ? own_thinking()
                       : R"({"type":"thinking","thinking":)" + text() + R"(,"signature":)" + text() + "}";
        case 4:
            return R"({"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}})";
        case 5:
            return R"({"type":"mcp_tool_result","tool_use_id":"s","content":[)" + text_part("text") + "]}";
        default:
            return text_part("text");
        }
    }

    std::string anthropic_message() {
        bool user = below(2) == 0;
        std::string out = std::string(R"({"role":")") +
                          (maybe(12) ? "system"
                           : user    ? "user"
                                     : "assistant") +
                          R"(","content":)";
        if (out.find("system") != std::string::npos || maybe(3))
            return out + text() + "}";
        return out + list(0, 4, [&] { return user ? anthropic_user_block() : anthropic_assistant_block(); }) +
               "}";
    }

    std::string anthropic() {
        std::string out = R"({"model":")" + model + R"(","max_tokens":9000)";
        if (maybe(3))
            out += maybe(2) ? R"(,"thinking":{"type":"adaptive"})"
                            : R"(,"thinking":{"type":"enabled","budget_tokens":3000})";
        if (maybe(6))
            out += R"(,"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}})";
        if (maybe(2))
            out += R"(,"system":)" + list(0, 3, [&] { return text_part("text"); });
        if (!maybe(3))
            out += R"(,"tools":)" + list(0, 4, [&] {
                       return R"({"name":")" + pick(names) + R"(","description":)" + text() +
                              R"(,"input_schema":)" + pick(schemas) + "}";
                   });
        if (maybe(6))
            out += maybe(2) ? R"(,"tool_choice":{"type":"none"})"
                            : R"(,"tool_choice":{"type":"auto","disable_parallel_tool_use":true})";
        return out + R"(,"messages":)" + list(1, 8, [&] { return anthropic_message(); }) + "}";
    }

    std::string openai_call() {
        constexpr std::string_view arguments[] = {"{}", "", "{\\\"a\\\":1}", "[1]", "null", "{broken"};
        return R"({"id":")" + pick(ids) + R"(","type":"function","function":{"name":")" + pick(names) +
               R"(","arguments":")" + pick(arguments) + "\"}}";
    }

    std::string openai_part() {
        return maybe(4) ? R"({"type":"image_url","image_url":{"url":"data:image/png;base64,)" +
                              std::string(png) + "\"}}"
                        : text_part("text");
    }

    std::string openai_message() {
        switch (below(8)) {
        case 0:
            return R"({"role":"system","content":)" + text() + "}";
        case 1:
        case 2:
            return R"({"role":"assistant","content":null,"tool_calls":)" +
                   list(1, 3, [&] { return openai_call(); }) + "}";
        case 3:
        case 4:
            return R"({"role":"tool","tool_call_id":")" + pick(ids) + R"(","content":)" + text() + "}";
        case 5:
            return R"({"role":"assistant","content":)" + text() + "}";
        default:
            return R"({"role":"user","content":)" + list(0, 3, [&] { return openai_part(); }) + "}";
        }
    }

    std::string openai() {
        std::string out = R"({"model":")" + model + "\"";
        if (maybe(3))
            out += R"(,"reasoning_effort":")" + pick(efforts) + "\"";
        if (maybe(6))
            out += R"(,"response_format":{"type":"json_object"})";
        if (!maybe(3))
            out += std::string(pick(choices)) + R"("tools":)" + list(1, 4, [&] {
                       return R"({"type":"function","function":{"name":")" + pick(names) +
                              R"(","description":)" + text() + R"(,"parameters":)" + pick(schemas) + "}}";
                   });
        return out + R"(,"messages":)" + list(1, 10, [&] { return openai_message(); }) + "}";
    }

    std::string responses_item() {
        switch (below(8)) {
        case 0:
            return R"({"type":"message","role":"developer","content":)" + text() + "}";
        case 1:
        case 2:
            return R"({"type":"function_call","call_id":")" + pick(ids) + R"(","name":")" + pick(names) +
                   R"(","arguments":"{}"})";
        case 3:
        case 4:
            return R"({"type":"function_call_output","call_id":")" + pick(ids) + R"(","output":)" + text() +
                   "}";
        case 5:
            return R"({"type":"message","role":"assistant","content":[)" + text_part("output_text") + "]}";
        case 6:
            return R"({"type":"reasoning","summary":[],"encrypted_content":)" + text() + "}";
        default:
            return R"({"type":"message","role":"user","content":[)" + text_part("input_text") + "]}";
        }
    }

    std::string responses() {
        std::string out = R"({"model":")" + model + R"(","store":false)";
        if (maybe(3))
            out += R"(,"reasoning":{"effort":")" + pick(efforts) + "\"}";
        if (maybe(6))
            out += R"(,"text":{"format":{"type":"json_object"}})";
        if (maybe(2))
            out += R"(,"instructions":)" + text();
        if (!maybe(3))
            out += R"(,"tools":)" + list(1, 3, [&] {
                       return R"({"type":"function","name":")" + pick(names) + R"(","description":)" +
                              text() + R"(,"parameters":)" + pick(schemas) + "}";
                   });
        return out + R"(,"input":)" + list(1, 10, [&] { return responses_item(); }) + "}";
    }
};

} // namespace

RandomRequest random_request(uint64_t seed) {
    return Maker(seed).make();
}

} // namespace kiro::test
