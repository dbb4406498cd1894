#include "core/kiro/request.h"

#include "core/chat/invalid.h"
#include "core/json/writer.h"
#include "core/kiro/digest.h"
#include "core/kiro/models.h"
#include "core/kiro/schema.h"
#include "core/tokens/estimate.h"

namespace kiro::kiro {

namespace {

// Longer ones move into the system text.
constexpr size_t max_description = 10000;

// Of the serialised body: one per ASCII character, eight per other. Measured between 1,320,000 and 1,360,000,
// on text; images are not counted, as far bigger ones pass.
constexpr uint64_t max_weight = 1340000;
constexpr uint64_t non_ascii_weight = 8;

constexpr uint64_t tokens_per_message = 4;
constexpr uint64_t tokens_per_tool = 8;
constexpr uint64_t tokens_per_image = 1000; // pixels / 750, at most about 1,600

constexpr std::string_view freeform_schema =
    R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})";

bool is_longer_than(Raw text, size_t limit) {
    if (text.size() <= limit)
        return false;
    size_t characters = 0;
    for (size_t i = 0; i < text.size(); i++) {
        auto c = static_cast<unsigned char>(text[i]);
        if ((c & 0xC0) == 0x80)
            continue;
        if (c == '\\' && i + 1 < text.size())
            i += text[i + 1] == 'u' ? 5 : 1;
        characters++;
    }
    return characters > limit;
}

// The descriptions of a few tools are whole manuals.
Raw short_description(const chat::Tool &tool, Raw alias, Request &request, chat::Arena &arena) {
    if (json::is_blank(tool.description))
        return arena.keep("Tool: " + std::string(tool.name));
    if (!is_longer_than(tool.description, max_description))
        return tool.description;
    std::string section = "## Tool: ";
    section += alias;
    section += "\\n\\n";
    section += tool.description;
    request.system.push_back(arena.keep(std::move(section)));
    return arena.keep("The full description is in the instructions under \\\"Tool: " + std::string(alias) +
                      "\\\".");
}

void declare_tools(const chat::Conversation &conversation, Request &request, ToolNames &names,
                   chat::Arena &arena) {
    if (conversation.tool_mode == chat::ToolMode::none)
        return;
    for (const auto &tool : conversation.tools) {
        if (names.knows(tool.name))
            continue; // a second tool of that name is refused
        Raw alias = names.alias_of(tool.name);
        request.tools.push_back({alias, short_description(tool, alias, request, arena),
                                 tool.freeform ? freeform_schema : tool.schema});
    }
}

// What was called before must be declared, also when the client declares it no more. Calls told as text
// instead would be imitated.
void name_calls(Request &request, ToolNames &names) {
    constexpr Raw stub = "Was used earlier in this conversation. Not available now: do not call it.";
    for (Turn &turn : request.turns) {
        for (Call &call : turn.calls) {
            bool declared = names.knows(call.client_name);
            call.name = names.alias_of(call.client_name);
            if (!declared)
                request.tools.push_back({call.name, stub, {}});
        }
    }
}

// The same conversation has the same id in all its requests; its beginning does not change.
void identify(std::string_view session, Request &request) {
    Sha256 hash;
    if (!session.empty()) {
        hash.add_field("session").add_field(session);
    } else {
        hash.add_field("beginning");
        for (Raw text : request.system)
            hash.add_field(text);
        hash.add_field("user");
        for (Raw text : request.turns.front().texts)
            hash.add_field(text);
    }
    request.conversation_id = uuid_of(hash);

    // A turn of the person lasts until she writes again; what only carries results continues it.
    size_t spoken = 0;
    for (const Turn &turn : request.turns)
        spoken += turn.user && turn.results.empty();
    Sha256 continuation;
    continuation.add_field("turn").add_field(request.conversation_id).add_field(std::to_string(spoken));
    request.continuation_id = uuid_of(continuation);
}

size_t image_bytes(const Request &request) {
    size_t bytes = 0;
    for (const Turn &turn : request.turns) {
        for (const auto &image : turn.images)
            bytes += image.base64.size();
    }
    return bytes;
}

void measure(Request &request) {
    tokens::Characters characters;
    uint64_t overhead = tokens_per_message * request.turns.size() + tokens_per_tool * request.tools.size();
    for (Raw text : request.system)
        characters.add(text);
    for (const Turn &turn : request.turns) {
        for (Raw text : turn.texts)
            characters.add(text);
        for (const Call &call : turn.calls) {
            characters.add(call.name);
            characters.add(call.input);
        }
        for (const Result &result : turn.results) {
            for (Raw text : result.texts)
                characters.add(text);
        }
        overhead += tokens_per_image * turn.images.size();
    }
    for (const ToolSpec &tool : request.tools) {
        characters.add(tool.name);
        characters.add(tool.description);
        characters.add(tool.schema);
    }
    request.input_tokens = tokens::estimate(characters) + overhead;

    constexpr size_t frame = 256; // of a turn or tool
    request.bytes =
        characters.size + image_bytes(request) + frame * (request.turns.size() + request.tools.size() + 4);
}

// The three generations of clients differ in little.
struct Wire {
    std::string_view origin;
    std::string_view id_prefix;
    bool root_conversation; // rootConversationId and agentMode
    bool environment;       // envState with every user message
    bool message_ids;       // on assistant messages with tools
};

constexpr Wire wires[] = {
    /* KIRO_WIRE_V3 */ {"AI_EDITOR", "sess_", true, false, false},
    /* KIRO_WIRE_V2 */ {"KIRO_CLI", "", false, true, true},
    /* KIRO_WIRE_REST */ {"AI_EDITOR", "", false, false, false},
};

constexpr std::string_view format_name(chat::ImageFormat format) {
    switch (format) {
    case chat::ImageFormat::png:
        return "png";
    case chat::ImageFormat::jpeg:
        return "jpeg";
    case chat::ImageFormat::gif:
        return "gif";
    case chat::ImageFormat::webp:
        return "webp";
    }
    return "png";
}

class Writer {
public:
    Writer(const Request &r, const Wire &w, std::string &o) : request(r), wire(w), out(o) {}

    void body(std::string_view profile_arn) {
        out += R"({"conversationState":{"chatTriggerType":"MANUAL","agentTaskType":"vibe")";
        id_member("conversationId");
        if (wire.root_conversation)
            id_member("rootConversationId");
        out += R"(,"agentContinuationId":")";
        out += request.continuation_id;
        out += '"';
        size_t last = request.turns.size() - 1;
        if (last > 0) {
            out += R"(,"history":[)";
            for (size_t i = 0; i < last; i++) {
                if (i > 0)
                    out += ',';
                if (request.turns[i].user)
                    user(i, false);
                else
                    assistant(i);
            }
            out += ']';
        }
        out += R"(,"currentMessage":)";
        user(last, true);
        out += '}';
        if (wire.root_conversation)
            out += R"(,"agentMode":"vibe")";
        if (!profile_arn.empty()) {
            out += R"(,"profileArn":)";
            json::append_string(out, profile_arn);
        }
        out += '}';
    }

private:
    const Request &request;
    const Wire &wire;
    std::string &out;

    void id_member(std::string_view key) {
        out += ",\"";
        out += key;
        out += "\":\"";
        out += wire.id_prefix;
        out += request.conversation_id;
        out += '"';
    }

    void texts(const std::vector<Raw> &pieces, std::string_view separator, bool &first) {
        for (Raw piece : pieces) {
            if (!first)
                out += separator;
            first = false;
            out += piece;
        }
    }

    void content(const Turn &turn, bool with_system) {
        constexpr std::string_view blank_line = "\\n\\n";
        out += "\"content\":\"";
        bool first = true;
        if (with_system)
            texts(request.system, blank_line, first);
        texts(turn.texts, blank_line, first);
        out += '"';
    }

    void user(size_t index, bool current) {
        const Turn &turn = request.turns[index];
        out += R"({"userInputMessage":{)";
        content(turn, index == 0);
        out += R"(,"modelId":")";
        out += request.model;
        out += R"(","origin":")";
        out += wire.origin;
        out += '"';
        images(turn);
        bool tools = current && !request.tools.empty();
        if (!turn.results.empty() || tools || wire.environment) {
            out += R"(,"userInputMessageContext":{)";
            results(turn);
            if (wire.environment) {
                comma();
                out += R"("envState":{"operatingSystem":"linux","currentWorkingDirectory":"/"})";
            }
            if (tools)
                specifications();
            out += '}';
        }
        out += "}}";
    }

    void comma() {
        if (out.back() != '{')
            out += ',';
    }

    void images(const Turn &turn) {
        if (turn.images.empty())
            return;
        out += R"(,"images":[)";
        for (const auto &image : turn.images) {
            if (out.back() != '[')
                out += ',';
            out += R"({"format":")";
            out += format_name(image.format);
            out += R"(","source":{"bytes":")";
            out += image.base64;
            out += R"("}})";
        }
        out += ']';
    }

    void results(const Turn &turn) {
        if (turn.results.empty())
            return;
        out += R"("toolResults":[)";
        for (const auto &result : turn.results) {
            if (out.back() != '[')
                out += ',';
            out += R"({"toolUseId":")";
            out += result.id;
            out += R"(","content":[{"text":")";
            bool first = true;
            texts(result.texts, "\\n", first);
            out += R"("}],"status":")";
            out += result.failed ? "error" : "success";
            out += R"("})";
        }
        out += ']';
    }

    void specifications() {
        comma();
        out += R"("tools":[)";
        for (const auto &tool : request.tools) {
            if (out.back() != '[')
                out += ',';
            out += R"({"toolSpecification":{"name":")";
            out += tool.name;
            out += R"(","description":")";
            out += tool.description;
            out += R"(","inputSchema":{"json":)";
            append_schema(out, tool.schema);
            out += "}}}";
        }
        out += ']';
    }

    void assistant(size_t index) {
        const Turn &turn = request.turns[index];
        out += R"({"assistantResponseMessage":{)";
        if (wire.message_ids && !turn.calls.empty()) {
            Sha256 hash;
            hash.add_field("message").add_field(request.conversation_id).add_field(std::to_string(index));
            out += R"("messageId":")";
            out += uuid_of(hash);
            out += "\",";
        }
        content(turn, false);
        if (!turn.calls.empty()) {
            out += R"(,"toolUses":[)";
            for (const auto &call : turn.calls) {
                if (out.back() != '[')
                    out += ',';
                out += R"({"toolUseId":")";
                out += call.id;
                out += R"(","name":")";
                out += call.name;
                out += R"(","input":)";
                out += call.input;
                out += '}';
            }
            out += ']';
        }
        out += "}}";
    }
};

void check_size(const Request &request, const std::string &body) {
    tokens::Characters characters;
    characters.add(body);
    uint64_t weight = characters.ascii - image_bytes(request) + non_ascii_weight * characters.non_ascii();
    if (weight <= max_weight)
        return;
    uint64_t maximum = request.input_tokens * max_weight / weight;
    std::string have = std::to_string(request.input_tokens), most = std::to_string(maximum);
    // Clients recognise an overflow by these words and compact the conversation.
    throw chat::Invalid{KIRO_FAIL_CONTEXT_OVERFLOW, "messages",
                        "prompt is too long: " + have + " tokens > " + most +
                            " maximum. The maximum context length is " + most +
                            " tokens, but the request has about " + have + "."};
}

} // namespace

/*
 * The order matters: pairing needs alternating turns; hoisting needs ids; blank turns are known when all
 * texts are; the beginning that identifies a conversation must not have what depends on later turns.
 */
Request prepare(chat::Conversation &conversation, std::string_view model, std::string_view session) {
    chat::Arena &arena = conversation.arena;
    Request request;
    request.model = json::escaped(model);
    request.context_window = context_window(model);

    size_t first = split_system(conversation, request.system);
    request.turns = merge_turns(conversation, first);
    frame_with_user(request.turns);
    pair_results(request.turns, arena);
    hoist_images(request.turns, arena);
    fill_results(request.turns, arena);

    ToolNames names(arena);
    declare_tools(conversation, request, names, arena);
    name_calls(request, names);
    request.aliases = names.aliases();

    fill_blank_turns(request.turns, !request.system.empty());
    identify(session, request);
    measure(request);
    return request;
}

void write(const Request &request, kiro_wire wire, std::string_view profile_arn, std::string &out) {
    out.clear();
    out.reserve(request.bytes);
    Writer(request, wires[wire], out).body(profile_arn);
    check_size(request, out);
}

} // namespace kiro::kiro
