#include "core/kiro/limits.h"

#include <algorithm>
#include <simdjson.h>
#include <string>
#include <unordered_set>

#include "core/chat/invalid.h"
#include "core/json/validate.h"
#include "core/json/writer.h"
#include "core/kiro/measure.h"
#include "core/tokens/estimate.h"

namespace kiro::kiro {

namespace {

// Of the serialised body: one per ASCII character, eight per other. Measured between 1,320,000 and 1,360,000
// with text; images and documents have limits of their own, which are far above that.
constexpr uint64_t max_weight = 1340000;
constexpr uint64_t non_ascii_weight = 8;

constexpr size_t max_history = 10000;
constexpr size_t max_user_text = 600000;   // characters
constexpr size_t max_result_text = 800000; // characters
constexpr size_t kept_head = 600000, kept_tail = 190000;
constexpr size_t max_images = 20;   // of a request
constexpr size_t max_documents = 5; // of a request
constexpr size_t max_nesting = 100; // of arguments; 128 with what is around them
constexpr size_t max_document_name = 60;

// Images leave the history in groups: each time some do, the upstream's cached prefix is lost.
constexpr size_t image_group = 10;

size_t text_length(const std::vector<Raw> &texts, size_t separator) {
    size_t length = 0;
    for (Raw text : texts)
        length += separator + json::length(text);
    return length;
}

size_t byte_length(const std::vector<Raw> &texts) {
    size_t length = 0;
    for (Raw text : texts)
        length += text.size() + 4;
    return length;
}

template <class T> using List = std::vector<T> Turn::*;
template <class T> using ResultList = std::vector<T> Result::*;

template <class T> size_t count(const Turn &turn, List<T> own, ResultList<T> given) {
    size_t n = (turn.*own).size();
    for (const Result &result : turn.results)
        n += (result.*given).size();
    return n;
}

struct Attachment {
    std::string_view one, many; // "image", "images"
    size_t limit, group;
    chat::Rule left_out, count;
};

// Takes up to excess things from the front of list and says so in texts.
template <class T>
void drop_oldest(std::vector<T> &list, size_t &excess, const Attachment &kind, std::vector<Raw> &texts,
                 chat::Arena &arena) {
    size_t n = std::min(excess, list.size());
    if (n == 0)
        return;
    const std::string what(excess == 1 ? kind.one : kind.many);
    arena.note(kind.left_out, list.front().base64, n);
    list.erase(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(n));
    excess -= n;
    texts.push_back(arena.keep("[" + std::to_string(n) + " older " + what + " left out]"));
}

template <class T>
void limit(Turns &turns, List<T> own, ResultList<T> given, const Attachment &kind, chat::Arena &arena) {
    size_t total = 0;
    for (const Turn &turn : turns)
        total += count(turn, own, given);
    if (total <= kind.limit)
        return;
    size_t last = count(turns.back(), own, given);
    if (last > kind.limit) {
        throw chat::Invalid{KIRO_FAIL_INVALID_REQUEST, "messages",
                            "messages: the last message has " + std::to_string(last) + " " +
                                std::string(kind.many) + ", at most " + std::to_string(kind.limit) +
                                " are possible",
                            kind.count};
    }
    size_t excess = (total - kind.limit + kind.group - 1) / kind.group * kind.group;
    excess = std::min(excess, total - last);
    for (Turn &turn : turns) {
        for (Result &result : turn.results)
            drop_oldest(result.*given, excess, kind, result.texts, arena);
        drop_oldest(turn.*own, excess, kind, turn.texts, arena);
    }
}

std::string plain_name(Raw title) {
    std::string name;
    for (char c : json::unescaped(title)) {
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        char next = word ? c : '-';
        if (next != '-' || (!name.empty() && name.back() != '-'))
            name += next;
        if (name.size() == max_document_name)
            break;
    }
    while (name.ends_with('-'))
        name.pop_back();
    return name;
}

// Of the limit that is missed by most the client learns in tokens, as that is what it counts.
[[noreturn]] void overflow(const Request &request, uint64_t have, uint64_t most, chat::Rule rule) {
    std::string tokens = std::to_string(request.input_tokens);
    std::string maximum = std::to_string(request.input_tokens * most / have);
    throw chat::Invalid{KIRO_FAIL_CONTEXT_OVERFLOW, "", // the dialect knows where

                        "prompt is too long: " + tokens + " tokens > " + maximum +
                            " maximum. The maximum context length is " + maximum +
                            " tokens, but the request has about " + tokens + ".",
                        rule};
}

} // namespace

void shorten_results(Turns &turns, chat::Arena &arena) {
    for (Turn &turn : turns) {
        for (Result &result : turn.results) {
            if (byte_length(result.texts) <= max_result_text)
                continue;
            size_t length = text_length(result.texts, 1);
            if (length <= max_result_text - 100)
                continue;
            std::string text;
            for (Raw piece : result.texts) {
                text += text.empty() ? "" : "\\n";
                text += piece;
            }
            length = json::length(text);
            std::string shorter(json::prefix(text, kept_head));
            shorter += "\\n[" + std::to_string(length - kept_head - kept_tail) + " characters left out]\\n";
            shorter += std::string_view(text).substr(json::prefix(text, length - kept_tail).size());
            result.texts = {arena.keep(std::move(shorter))};
            arena.note(chat::Rule::tool_result_shortened, result.client_id);
        }
    }
}

void limit_images(Turns &turns, chat::Arena &arena) {
    limit(turns, &Turn::images, &Result::images,
          {"image", "images", max_images, image_group, chat::Rule::image_left_out, chat::Rule::image_count},
          arena);
}

void limit_documents(Turns &turns, chat::Arena &arena) {
    limit(turns, &Turn::documents, &Result::documents,
          {"document", "documents", max_documents, 1, chat::Rule::document_left_out,
           chat::Rule::document_count},
          arena);
}

void check_documents(const Turns &turns, bool allowed) {
    if (allowed)
        return;
    auto refuse = [](const std::vector<chat::Document> &documents) {
        if (documents.empty())
            return;
        std::string path(documents.front().path);
        throw chat::Invalid{KIRO_FAIL_UNSUPPORTED, path,
                            path + ": this model does not take documents; send their text",
                            chat::Rule::document_model};
    };
    for (const Turn &turn : turns) {
        refuse(turn.documents);
        for (const Result &result : turn.results)
            refuse(result.documents);
    }
}

void name_documents(Turns &turns, chat::Arena &arena) {
    std::unordered_set<std::string> taken;
    size_t number = 0;
    for (Turn &turn : turns) {
        for (chat::Document &document : turn.documents) {
            number++;
            std::string name = plain_name(document.title);
            if (name.empty() || !taken.insert(name).second) {
                name += (name.empty() ? "document-" : "-") + std::to_string(number);
                while (!taken.insert(name).second)
                    name += "-x";
            }
            if (document.title != name)
                arena.note(chat::Rule::document_renamed, document.base64);
            document.title = arena.keep(std::move(name));
        }
    }
}

void flatten_inputs(Turns &turns, chat::Arena &arena) {
    for (Turn &turn : turns) {
        for (Call &call : turn.calls) {
            if (call.input.size() < 2 * max_nesting || json::nesting(call.input) <= max_nesting)
                continue;
            std::string input(call.input.size(), '\0'), text = R"({"arguments":)";
            size_t size = 0;
            if (simdjson::minify(call.input.data(), call.input.size(), input.data(), size) ==
                simdjson::SUCCESS)
                input.resize(size);
            json::append_string(text, input);
            text += '}';
            call.input = arena.keep(std::move(text));
            arena.note(chat::Rule::arguments_flattened, call.client_id);
        }
    }
}

void check_size(const Request &request, std::string_view body, const std::vector<size_t> &attachments) {
    if (request.turns.size() - 1 > max_history)
        overflow(request, request.turns.size() - 1, max_history, chat::Rule::history_length);
    for (size_t i = 0; i < request.turns.size(); i += 2) {
        const bool first = i == 0, last = i + 1 == request.turns.size();
        const std::vector<Raw> none, &system = first ? request.system : none;
        const std::vector<Raw> &notice = last ? request.notice : none;
        const std::vector<Raw> &closing = last ? request.closing : none;
        const std::vector<Raw> &texts = request.turns[i].texts;
        if (byte_length(texts) + byte_length(system) + byte_length(notice) + byte_length(closing) <=
            max_user_text)
            continue;
        size_t length = text_length(texts, 2) + text_length(system, 2) + text_length(notice, 2) +
                        text_length(closing, 2) - 2;
        if (length > max_user_text)
            overflow(request, length, max_user_text, chat::Rule::message_size);
    }
    uint64_t bytes = body.size() - attachment_bytes(request);
    if (bytes * non_ascii_weight / 2 <= max_weight) // two bytes a character at least
        return;
    tokens::Characters characters;
    size_t from = 0;
    for (size_t i = 0; i < attachments.size(); i += 2) {
        characters.add(body.substr(from, attachments[i] - from));
        from = attachments[i + 1];
    }
    characters.add(body.substr(from));
    uint64_t weight = characters.ascii + non_ascii_weight * characters.non_ascii();
    if (weight > max_weight)
        overflow(request, weight, max_weight, chat::Rule::body_size);
}

} // namespace kiro::kiro
