#include "core/json/writer.h"
#include "core/kiro/digest.h"
#include "core/kiro/limits.h"
#include "core/kiro/request.h"

namespace kiro::kiro {

namespace {

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
        if (!request.fields.empty()) {
            out += R"(,"additionalModelRequestFields":)";
            out += request.fields;
        }
        if (!profile_arn.empty()) {
            out += R"(,"profileArn":)";
            json::append_string(out, profile_arn);
        }
        out += '}';
    }

    // Where each one begins and ends in out.
    const std::vector<size_t> &attachments() const { return attached; }

private:
    const Request &request;
    const Wire &wire;
    std::string &out;
    std::vector<size_t> attached;

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

    void content(const Turn &turn, bool with_system, bool with_closing) {
        constexpr std::string_view blank_line = "\\n\\n";
        out += "\"content\":\"";
        bool first = true;
        if (with_system)
            texts(request.system, blank_line, first);
        texts(turn.texts, blank_line, first);
        if (with_closing) {
            texts(request.notice, blank_line, first);
            texts(request.closing, blank_line, first);
        }
        out += '"';
    }

    void user(size_t index, bool current) {
        const Turn &turn = request.turns[index];
        out += R"({"userInputMessage":{)";
        content(turn, index == 0, current);
        out += R"(,"modelId":")";
        out += request.model;
        out += R"(","origin":")";
        out += wire.origin;
        out += '"';
        images(turn);
        documents(turn);
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

    void attach(std::string_view base64) {
        attached.push_back(out.size());
        out += base64;
        attached.push_back(out.size());
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
            attach(image.base64);
            out += R"("}})";
        }
        out += ']';
    }

    void documents(const Turn &turn) {
        if (turn.documents.empty())
            return;
        out += R"(,"documents":[)";
        for (const auto &document : turn.documents) {
            if (out.back() != '[')
                out += ',';
            out += R"({"format":"pdf","name":")";
            out += document.title;
            out += R"(","source":{"bytes":")";
            attach(document.base64);
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
            out += tool.schema;
            out += "}}}";
        }
        out += ']';
    }

    void reasoning(const Thought &thought) {
        out += R"(,"reasoningContent":{)";
        if (thought.redacted) {
            out += R"("redactedContent":")";
        } else {
            out += R"("reasoningText":{"text":")";
            out += thought.text;
            out += R"(","signature":")";
        }
        out += thought.signature;
        out += thought.redacted ? R"("})" : R"("}})";
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
        content(turn, false, false);
        if (turn.thought)
            reasoning(*turn.thought);
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

} // namespace

void write(const Request &request, kiro_wire wire, std::string_view profile_arn, std::string &out) {
    out.clear();
    out.reserve(request.bytes);
    Writer writer(request, wires[wire], out);
    writer.body(profile_arn);
    check_size(request, out, writer.attachments());
}

} // namespace kiro::kiro
