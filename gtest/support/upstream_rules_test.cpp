#include "support/upstream_rules.h"

#include <algorithm>
#include <cctype>
#include <gtest/gtest.h>
#include <set>
#include <simdjson.h>
#include <vector>

#include "support/model_fields.h"

namespace kiro::test {

namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

struct Broken {
    std::string rule;
};

void require(bool holds, const std::string &rule) {
    if (!holds)
        throw Broken{rule};
}

std::string lower(std::string text) {
    for (char &c : text)
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

std::string text_of(object parent, const char *key) {
    std::string_view text;
    require(parent[key].get(text) == simdjson::SUCCESS, std::string(key) + " is missing or no string");
    return std::string(text);
}

bool is_blank(const std::string &text) {
    return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c) != 0; });
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool is_name(const std::string &text) {
    return !text.empty() && text.size() <= 63 && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
           std::all_of(text.begin(), text.end(), is_word);
}

bool is_id(const std::string &text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), is_word);
}

bool is_uuid(const std::string &text) {
    const std::string form = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
    auto fits = [](char c, char f) {
        return f == 'x'   ? std::string("0123456789abcdef").find(c) != std::string::npos
               : f == 'v' ? std::string("89ab").find(c) != std::string::npos
                          : c == f;
    };
    return text.size() == form.size() && std::equal(text.begin(), text.end(), form.begin(), fits);
}

void only(object parent, std::set<std::string> known) {
    for (auto member : parent)
        require(known.erase(std::string(member.key)) == 1,
                "unknown or double member " + std::string(member.key));
}

struct Checker {
    std::set<std::string> ids, used_names, declared;
    std::vector<std::string> open; // calls that the next user message must answer

    void schema(element value, bool root) {
        object schema_object;
        require(value.get(schema_object) == simdjson::SUCCESS, "schema is no object");
        if (root) {
            require(text_of(schema_object, "type") == "object", "schema root is no object schema");
            for (const char *key : {"anyOf", "oneOf", "allOf", "$ref"})
                require(schema_object[key].error() == simdjson::NO_SUCH_FIELD, "union at the schema root");
        }
        for (auto member : schema_object) {
            std::string key(member.key);
            require(key != "$schema" && key != "additionalProperties", "refused keyword " + key);
            require(!member.value.is_null() || key == "default", "null for " + key);
            array list;
            if (key == "required") {
                require(member.value.get(list) == simdjson::SUCCESS && list.size() > 0, "required is empty");
            } else if (key == "properties") {
                object properties;
                require(member.value.get(properties) == simdjson::SUCCESS, "properties is no object");
                for (auto property : properties)
                    schema(property.value, false);
            } else if (key == "items" && member.value.is_object()) {
                schema(member.value, false);
            }
        }
    }

    void tools(array list) {
        require(list.size() > 0, "empty tools");
        for (element entry : list) {
            object tool = entry["toolSpecification"].get_object();
            std::string name = text_of(tool, "name");
            require(is_name(name), "tool name " + name);
            require(declared.insert(lower(name)).second, "tool twice: " + name);
            require(!is_blank(text_of(tool, "description")), "blank description");
            schema(tool["inputSchema"]["json"].value(), true);
        }
    }

    void results(array list) {
        require(list.size() > 0, "empty toolResults");
        for (element entry : list) {
            object result = entry.get_object();
            only(result, {"toolUseId", "content", "status"});
            std::string id = text_of(result, "toolUseId");
            auto at = std::find(open.begin(), open.end(), id);
            require(at != open.end(), "result without call: " + id);
            open.erase(at);
            std::string status = text_of(result, "status");
            require(status == "success" || status == "error", "status");
            bool any = false;
            for (element piece : result["content"].get_array())
                any |= !is_blank(text_of(piece.get_object(), "text"));
            require(any, "blank result");
        }
    }

    void documents(array list) {
        require(list.size() > 0 && list.size() <= 5, "number of documents");
        std::set<std::string> names;
        for (element entry : list) {
            object document = entry.get_object();
            require(text_of(document, "format") == "pdf", "document format");
            std::string name = text_of(document, "name");
            require(!name.empty() && name.size() <= 200 &&
                        std::all_of(name.begin(), name.end(), [](char c) { return is_word(c) && c != '_'; }),
                    "document name");
            require(names.insert(name).second, "document name twice");
            require(text_of(document["source"].get_object(), "bytes").size() % 4 == 0, "document bytes");
        }
    }

    void images(array list) {
        require(list.size() > 0, "empty images");
        for (element entry : list) {
            object image = entry.get_object();
            std::string format = text_of(image, "format");
            require(std::set<std::string>{"png", "jpeg", "gif", "webp"}.count(format) == 1, "image format");
            std::string bytes = text_of(image["source"].get_object(), "bytes");
            require(!bytes.empty() &&
                        bytes.find_first_not_of(
                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
                            std::string::npos,
                    "image bytes");
        }
    }

    void user(object message, bool current) {
        only(message, {"content", "modelId", "origin", "images", "documents", "userInputMessageContext"});
        std::string content = text_of(message, "content");
        require(!text_of(message, "modelId").empty(), "modelId");
        std::string origin = text_of(message, "origin");
        require(origin == "AI_EDITOR" || origin == "KIRO_CLI", "origin");
        array list;
        if (message["images"].get(list) == simdjson::SUCCESS)
            images(list);
        if (message["documents"].get(list) == simdjson::SUCCESS)
            documents(list);
        bool has_results = false;
        object context;
        if (message["userInputMessageContext"].get(context) == simdjson::SUCCESS) {
            require(context.size() > 0, "empty context");
            only(context, {"toolResults", "tools", "envState"});
            has_results = context["toolResults"].get(list) == simdjson::SUCCESS;
            if (has_results)
                results(list);
            if (context["tools"].get(list) == simdjson::SUCCESS) {
                require(current, "tools in history");
                tools(list);
            }
        }
        require(open.empty(), "unanswered call");
        require(has_results || !is_blank(content), "blank user message");
    }

    void reasoning(object thought) {
        require(thought.size() == 1, "not one variant of reasoning");
        object signed_text;
        if (thought["reasoningText"].get(signed_text) != simdjson::SUCCESS) {
            require(!text_of(thought, "redactedContent").empty(), "reasoning without content");
            return;
        }
        only(signed_text, {"text", "signature"});
        text_of(signed_text, "text");
        require(!text_of(signed_text, "signature").empty(), "reasoning without signature");
    }

    void assistant(object message) {
        only(message, {"messageId", "content", "reasoningContent", "toolUses"});
        std::string content = text_of(message, "content");
        object thought;
        if (message["reasoningContent"].get(thought) == simdjson::SUCCESS)
            reasoning(thought);
        array calls;
        if (message["toolUses"].get(calls) != simdjson::SUCCESS) {
            require(!is_blank(content), "blank assistant message");
            return;
        }
        require(calls.size() > 0, "empty toolUses");
        for (element entry : calls) {
            object call = entry.get_object();
            only(call, {"toolUseId", "name", "input"});
            std::string id = text_of(call, "toolUseId");
            require(is_id(id), "toolUseId " + id);
            require(ids.insert(id).second, "toolUseId twice: " + id);
            open.push_back(id);
            used_names.insert(lower(text_of(call, "name")));
            require(call["input"].is_object(), "input is no object");
        }
    }

    void fields(object root) {
        object wanted;
        if (root["additionalModelRequestFields"].get(wanted) != simdjson::SUCCESS)
            return;
        std::string_view model = root["conversationState"]["currentMessage"]["userInputMessage"]["modelId"];
        require(refused_field(model, wanted).empty(), "field " + refused_field(model, wanted));
    }

    void body(object root) {
        only(root, {"conversationState", "agentMode", "profileArn", "additionalModelRequestFields"});
        object state = root["conversationState"].get_object();
        only(state, {"chatTriggerType", "agentTaskType", "conversationId", "rootConversationId",
                     "agentContinuationId", "history", "currentMessage"});
        require(text_of(state, "chatTriggerType") == "MANUAL", "chatTriggerType");
        std::string id = text_of(state, "conversationId");
        require(is_uuid(id.starts_with("sess_") ? id.substr(5) : id), "conversationId");
        require(is_uuid(text_of(state, "agentContinuationId")), "agentContinuationId");
        array history;
        if (state["history"].get(history) == simdjson::SUCCESS) {
            require(history.size() > 0, "empty history");
            require(history.size() % 2 == 0, "history does not end with the assistant");
            bool users_turn = true;
            for (element entry : history) {
                object message = entry.get_object();
                require(message.size() == 1, "not one variant");
                if (users_turn)
                    user(message["userInputMessage"].get_object(), false);
                else
                    assistant(message["assistantResponseMessage"].get_object());
                users_turn = !users_turn;
            }
        }
        fields(root);
        user(state["currentMessage"]["userInputMessage"].get_object(), true);
        for (const auto &name : used_names)
            require(declared.count(name) == 1, "undeclared tool in history: " + name);
    }
};

} // namespace

std::string broken_rule(std::string_view text) {
    simdjson::dom::parser parser;
    element root;
    simdjson::padded_string padded(text);
    if (parser.parse(padded).get(root))
        return "not JSON";
    try {
        Checker().body(root.get_object());
    } catch (const Broken &broken) {
        return broken.rule;
    } catch (const simdjson::simdjson_error &error) {
        return error.what();
    }
    return {};
}

TEST(UpstreamRules, TheCheckerCanFail) {
    const std::string id = "00000000-0000-4000-8000-000000000000";
    auto body = [&](std::string history, std::string current) {
        return R"({"conversationState":{"chatTriggerType":"MANUAL","conversationId":")" + id +
               R"(","agentContinuationId":")" + id + "\"," + history +
               R"("currentMessage":{"userInputMessage":{"modelId":"m","origin":"AI_EDITOR",)" + current +
               "}}}}";
    };
    EXPECT_EQ(broken_rule(body("", R"("content":"x")")), "");
    EXPECT_EQ(broken_rule(body("", R"("content":" ")")), "blank user message");
    EXPECT_EQ(broken_rule(body(R"("history":[],)", R"("content":"x")")), "empty history");
    EXPECT_EQ(
        broken_rule(body("", R"("content":"x","userInputMessageContext":{"toolResults":[{"toolUseId":"a",)"
                             R"("content":[{"text":"x"}],"status":"success"}]})")),
        "result without call: a");
}

} // namespace kiro::test
