/*
 * What holds of every request, random ones and the corpus:
 *
 *   - what goes out keeps the upstream's rules
 *   - it is a fixed point: taken for a client's request, it goes out again byte for byte
 *   - the history of a turn begins with that of the turn before it and its current message, or the upstream's
 *     prompt cache would be lost
 *
 * KIRO_PROPERTY_SEED and KIRO_PROPERTY_CASES choose other random requests.
 */
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "core/abi/request_internal.h"
#include "core/json/cursor.h"
#include "support/client_request.h"
#include "support/corpus.h"
#include "support/kiro_reader.h"
#include "support/upstream_rules.h"
#include "tools/random_request.h"

namespace {

using namespace kiro;
using json::Cursor;
using json::Raw;
using test::ClientRequest;

namespace upstream = ::kiro::kiro;

constexpr std::string_view session = "one session";

uint64_t number(const char *name, uint64_t otherwise) {
    const char *value = std::getenv(name);
    return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

struct Case {
    std::string name;
    kiro_api api;
    std::string body;
};

// Visits the corpus and the random requests.
template <class Visit> void every_case(Visit &&visit) {
    for (const test::Golden &golden : test::corpus())
        visit(Case{golden.name(), golden.api(), std::string(golden.request)});
    const uint64_t seed = number("KIRO_PROPERTY_SEED", 1);
    const uint64_t cases = number("KIRO_PROPERTY_CASES", 2000);
    for (uint64_t i = seed; i < seed + cases && !testing::Test::HasFailure(); i++) {
        test::RandomRequest random = test::random_request(i);
        visit(Case{"seed " + std::to_string(i), random.api, std::move(random.body)});
    }
}

bool parse(ClientRequest &request, const std::string &body) {
    request.options.session = {session.data(), session.size()};
    return request.parse(body);
}

upstream::ModelChoice choice_of(const upstream::Request &request) {
    upstream::ModelChoice model;
    model.id = json::unescaped(request.model);
    model.facts = request.facts;
    return model;
}

upstream::Request prepare(chat::Conversation &conversation, const upstream::ModelChoice &model) {
    return upstream::prepare(conversation, {.model = model, .account = {}, .session = session});
}

std::string written(const upstream::Request &request, kiro_wire wire = KIRO_WIRE_V3) {
    std::string out;
    upstream::write(request, wire, {}, out);
    return out;
}

TEST(Property, KeepsTheUpstreamsRules) {
    constexpr kiro_wire wires[] = {KIRO_WIRE_V3, KIRO_WIRE_V2, KIRO_WIRE_REST};
    size_t taken = 0;
    every_case([&](const Case &one) {
        ClientRequest request(one.api);
        if (!parse(request, one.body) || request.info().call != KIRO_CALL_MODEL)
            return;
        for (kiro_wire wire : wires)
            EXPECT_EQ(test::broken_rule(request.write(wire)), "") << one.name << " on wire " << wire;
        EXPECT_EQ(kiro_request_notice(request.request.get(), {"run,write", 9}), KIRO_OK);
        const std::string told = request.write(wires[taken % std::size(wires)]);
        EXPECT_EQ(test::broken_rule(told), "") << one.name << " with a notice";
        EXPECT_NE(told.find("your previous answer was cut off"), told.npos) << one.name;
        taken++;
    });
    EXPECT_GT(taken, 0U);
}

// Where two bodies part; empty: nowhere.
std::string difference(const std::string &a, const std::string &b) {
    const auto at = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (at.first == a.end() && at.second == b.end())
        return {};
    const auto n = static_cast<size_t>(at.first - a.begin());
    const size_t from = n - std::min<size_t>(n, 100);
    return "..." + a.substr(from, 250) + "...\nis not\n..." + b.substr(from, 250) + "...";
}

// What the client wants of the answer's form is in the text of the current message by then; how the model is
// to think stands beside the messages, so it is passed on. Where the current message is the first one, those
// words are a part of the beginning that makes the ids.
TEST(Property, NormalisingTwiceChangesNothing) {
    size_t taken = 0;
    every_case([&](const Case &one) {
        ClientRequest request(one.api);
        if (!parse(request, one.body) || request.info().call != KIRO_CALL_MODEL)
            return;
        const std::string once = request.write();
        if (once.empty())
            return;
        const upstream::Request &first = request.request->upstream;
        chat::Conversation again = test::read_kiro_body(once, first.seal_key);
        again.thinking = request.request->conversation.thinking;
        again.reasoning = request.request->conversation.reasoning;
        upstream::Request second = prepare(again, choice_of(first));
        if (first.turns.size() == 1 && (first.tagged || !first.closing.empty())) {
            second.conversation_id = first.conversation_id;
            second.continuation_id = first.continuation_id;
        }
        EXPECT_EQ(difference(once, written(second)), "") << one.name;
        taken++;
    });
    EXPECT_GT(taken, 0U);
}

struct Parts {
    std::vector<std::string> history;
    std::string current; // as it will stand in a history
    std::string conversation_id;
    bool tools = false;
};

// Removes what only a current message has.
std::string plain_content(Raw raw, const upstream::Request &request) {
    std::string content(raw);
    std::string closing;
    for (Raw text : request.closing)
        closing += (closing.empty() && content.size() == text.size() ? "" : "\\n\\n") + std::string(text);
    if (!closing.empty() && closing.size() > content.size())
        closing.erase(0, 4);
    EXPECT_TRUE(content.ends_with(closing)) << content;
    content.resize(content.size() - closing.size());
    if (request.tagged) {
        const std::string_view begin = "<thinking_mode>", end = "</thinking_instruction>";
        const size_t from = content.find(begin), to = content.find(end);
        if (from != content.npos && to != content.npos) {
            content.erase(from, to + end.size() - from);
            const bool last = from == content.size();
            if (content.size() > 4)
                content.erase(last ? from - 4 : from, 4); // the blank line
        }
    }
    return content;
}

std::string plain_context(std::string_view context) {
    std::string out;
    Cursor(context).members([&](Raw key, Cursor &value) {
        const std::string_view text = value.value();
        if (key == "toolResults")
            out = ",\"userInputMessageContext\":{\"toolResults\":" + std::string(text) + "}";
    });
    return out;
}

std::string as_history(std::string_view current, const upstream::Request &request) {
    std::string out = R"({"userInputMessage":{)";
    Cursor(current).members([&](Raw, Cursor &message) {
        std::string content;
        std::string rest, context;
        message.members([&](Raw key, Cursor &value) {
            const std::string_view text = value.value();
            if (key == "content")
                content = plain_content(text.substr(1, text.size() - 2), request);
            else if (key == "userInputMessageContext")
                context = plain_context(text);
            else
                rest += ",\"" + std::string(key) + "\":" + std::string(text);
        });
        if (content.empty() && context.empty())
            content = "."; // the closing words stood for it
        out += "\"content\":\"" + content + "\"" + rest + context;
    });
    return out + "}}";
}

Parts parts_of(const std::string &body, const upstream::Request &request) {
    Parts parts;
    Cursor(body).members([&](Raw key, Cursor &root) {
        if (key != "conversationState") {
            root.value();
            return;
        }
        root.members([&](Raw name, Cursor &value) {
            if (name == "history")
                value.items([&](Cursor &item) { parts.history.emplace_back(item.value()); });
            else if (name == "currentMessage")
                parts.current = as_history(value.value(), request);
            else if (name == "conversationId")
                parts.conversation_id = value.string();
            else
                value.value();
        });
    });
    return parts;
}

bool says_something(const chat::Message &message) {
    return std::any_of(message.blocks.begin(), message.blocks.end(), [](const chat::Block &block) {
        const auto *text = std::get_if<chat::Text>(&block);
        return text != nullptr ? !json::is_blank(text->text) : std::holds_alternative<chat::ToolCall>(block);
    });
}

// How many messages the client had sent at each of its turns. An answer that says nothing makes no turn: what
// the user says before and behind it is one.
std::vector<size_t> turns_of(const chat::Conversation &conversation) {
    std::vector<size_t> ends;
    const auto &messages = conversation.messages;
    size_t end = 0; // of the user's turn
    for (size_t i = 0; i < messages.size(); i++) {
        if (messages[i].role != chat::Role::assistant) {
            end = i + 1;
        } else if (says_something(messages[i]) && end > 0) {
            ends.push_back(end);
            end = 0;
        }
    }
    if (end > 0)
        ends.push_back(end);
    return ends;
}

size_t attachments(const chat::Conversation &conversation) {
    size_t n = 0;
    for (const chat::Message &message : conversation.messages) {
        for (const chat::Block &block : message.blocks) {
            n += std::holds_alternative<chat::Image>(block) || std::holds_alternative<chat::Document>(block);
            if (const auto *result = std::get_if<chat::ToolResult>(&block))
                n += result->images.size() + result->documents.size();
        }
    }
    return n;
}

Parts parts_at(const Case &one, size_t messages) {
    ClientRequest request(one.api);
    EXPECT_TRUE(parse(request, one.body));
    chat::Conversation &conversation = request.request->conversation;
    conversation.messages.resize(messages);
    const auto model = choice_of(request.request->upstream);
    const upstream::Request prepared = prepare(conversation, model);
    Parts parts = parts_of(written(prepared), prepared);
    parts.tools = !prepared.tools.empty();
    return parts;
}

// Not where images or documents leave the history because there are too many: those that do are told of in
// their place. Requests with and without tools are conversations of their own.
TEST(Property, HistoryOnlyGrows) {
    size_t compared = 0;
    every_case([&](const Case &one) {
        ClientRequest request(one.api);
        if (!parse(request, one.body) || request.info().call != KIRO_CALL_MODEL)
            return;
        const chat::Conversation &conversation = request.request->conversation;
        const std::vector<size_t> turns = turns_of(conversation);
        if (turns.size() < 2 || attachments(conversation) > 5)
            return;
        std::optional<Parts> before;
        for (size_t messages : turns) {
            const Parts whole = parts_at(one, messages);
            if (before) {
                Parts now = whole;
                before->history.push_back(before->current);
                ASSERT_GT(now.history.size(), before->history.size()) << one.name;
                now.history.resize(before->history.size());
                EXPECT_EQ(now.history, before->history) << one.name << ", " << messages << " messages";
                if (now.tools == before->tools) {
                    EXPECT_EQ(now.conversation_id, before->conversation_id) << one.name;
                }
                compared++;
            }
            before = whole;
        }
    });
    EXPECT_GT(compared, 100U);
    RecordProperty("turns_compared", std::to_string(compared));
}

} // namespace
