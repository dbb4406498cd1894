#include "core/kiro/turns.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

namespace kiro::kiro {

namespace {

constexpr Raw no_result = "No result was recorded for this call.";
constexpr Raw no_text = "The tool returned no text.";

using chat::Rule;

void add_block(Turn &turn, const chat::Block &block, chat::Arena &arena) {
    if (const auto *text = std::get_if<chat::Text>(&block)) {
        if (!json::is_blank(text->text))
            turn.texts.push_back(text->text);
        else
            arena.note(Rule::blank_text_removed, text->text);
    } else if (const auto *image = std::get_if<chat::Image>(&block)) {
        turn.images.push_back(*image);
    } else if (const auto *document = std::get_if<chat::Document>(&block)) {
        turn.documents.push_back(*document);
    } else if (const auto *call = std::get_if<chat::ToolCall>(&block)) {
        turn.calls.push_back({call->id, call->name, call->input, {}, {}});
    } else if (const auto *result = std::get_if<chat::ToolResult>(&block)) {
        turn.results.push_back(
            {result->id, result->texts, result->images, result->documents, result->failed, {}});
    } else if (const auto *reasoning = std::get_if<chat::Reasoning>(&block)) {
        turn.reasoning.push_back(*reasoning);
    }
}

bool is_void(const Turn &turn) {
    return turn.texts.empty() && turn.images.empty() && turn.documents.empty() && turn.calls.empty() &&
           turn.results.empty();
}

template <class T> void append(std::vector<T> &to, std::vector<T> &from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

Turn turn_of(const chat::Message &message, chat::Arena &arena) {
    Turn turn{message.role != chat::Role::assistant, {}, {}, {}, {}, {}, {}, {}, message.at};
    for (const auto &block : message.blocks)
        add_block(turn, block, arena);
    return turn;
}

std::string joined(const std::vector<Raw> &texts) {
    std::string out;
    for (Raw text : texts) {
        if (!out.empty())
            out += "\\n";
        out += text;
    }
    return out;
}

void result_to_text(Result &result, Turn &turn, std::vector<Raw> &texts, chat::Arena &arena) {
    std::string text = "[Tool result (";
    text += result.client_id;
    text += ")]\\n";
    text += joined(result.texts);
    texts.push_back(arena.keep(std::move(text)));
    append(turn.images, result.images);
    append(turn.documents, result.documents);
    arena.note(Rule::tool_result_as_text, result.client_id);
}

// The results of a turn by the text of the id that they answer, first come first served.
class Answers {
public:
    explicit Answers(const std::vector<Result> &results) : next(results.size(), none) {
        for (size_t i = results.size(); i-- > 0;) {
            auto [entry, added] = heads.emplace(json::unescaped(results[i].client_id), i);
            if (!added)
                next[i] = std::exchange(entry->second, i);
        }
    }

    size_t take(Raw id) {
        auto entry = heads.find(json::unescaped(id));
        if (entry == heads.end() || entry->second == none)
            return none;
        return std::exchange(entry->second, next[entry->second]);
    }

    static constexpr size_t none = static_cast<size_t>(-1);

private:
    std::unordered_map<std::string, size_t> heads;
    std::vector<size_t> next;
};

void pair(std::vector<Call> &calls, Turn &answer, CallIds &ids, chat::Arena &arena) {
    Answers answers(answer.results);
    std::vector<Result> ordered;
    std::vector<bool> taken(answer.results.size());
    size_t behind = 0; // of the results that were taken
    for (Call &call : calls) {
        call.id = ids.next(call.client_id);
        if (call.id != call.client_id)
            arena.note(Rule::call_id_rewritten, call.client_id);
        size_t i = answers.take(call.client_id);
        if (i == Answers::none) {
            ordered.push_back({call.client_id, {no_result}, {}, {}, true, call.id});
            arena.note(Rule::tool_result_added, call.client_id);
            continue;
        }
        taken[i] = true;
        if (i < behind)
            arena.note(Rule::tool_result_reordered, answer.results[i].client_id);
        behind = std::max(behind, i);
        ordered.push_back(std::move(answer.results[i]));
        ordered.back().id = call.id;
    }

    std::vector<Raw> texts;
    for (size_t i = 0; i < answer.results.size(); i++) {
        if (!taken[i])
            result_to_text(answer.results[i], answer, texts, arena);
    }
    if (!texts.empty()) {
        append(texts, answer.texts);
        answer.texts = std::move(texts);
    }
    answer.results = std::move(ordered);
}

bool begins_with_error(Raw text) {
    if (text.starts_with("<tool_use_error>"))
        return true;
    constexpr std::string_view word = "error";
    return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(),
                                                    [](char small, char c) { return small == (c | 0x20); });
}

} // namespace

size_t split_system(chat::Conversation &conversation, std::vector<Raw> &system) {
    chat::Arena &arena = conversation.arena;
    auto add = [&system, &arena](Raw text) {
        arena.note(json::is_blank(text) ? Rule::blank_text_removed : Rule::system_prepended, text);
        if (!json::is_blank(text))
            system.push_back(text);
    };
    for (Raw text : conversation.system)
        add(text);
    size_t first = 0;
    for (const auto &message : conversation.messages) {
        if (message.role != chat::Role::system)
            break;
        for (const auto &block : message.blocks) {
            if (const auto *text = std::get_if<chat::Text>(&block))
                add(text->text);
        }
        first++;
    }
    return first;
}

Turns merge_turns(chat::Conversation &conversation, size_t first) {
    chat::Arena &arena = conversation.arena;
    Turns turns;
    turns.reserve(conversation.messages.size() - first + 2);
    std::vector<chat::Reasoning> ahead; // in messages of its own, of the answer that follows
    for (size_t i = first; i < conversation.messages.size(); i++) {
        const chat::Message &message = conversation.messages[i];
        Turn turn = turn_of(message, arena);
        if (message.role == chat::Role::system)
            arena.note(Rule::system_as_user, message.at);
        if (!turn.user && is_void(turn)) {
            arena.note(Rule::assistant_turn_removed, message.at, turn.reasoning.empty() ? 1 : 0);
            append(turns.empty() || turns.back().user ? ahead : turns.back().reasoning, turn.reasoning);
            continue;
        }
        if (!turn.user) {
            append(ahead, turn.reasoning);
            turn.reasoning.swap(ahead);
        }
        ahead.clear();
        if (turns.empty() || turns.back().user != turn.user) {
            turns.push_back(std::move(turn));
            continue;
        }
        arena.note(Rule::message_merged, message.at);
        Turn &last = turns.back();
        append(last.texts, turn.texts);
        append(last.images, turn.images);
        append(last.documents, turn.documents);
        append(last.calls, turn.calls);
        append(last.results, turn.results);
        append(last.reasoning, turn.reasoning);
    }
    return turns;
}

void frame_with_user(Turns &turns, chat::Arena &arena) {
    auto added = [&arena](Raw at) {
        arena.note(Rule::user_turn_added, at);
        return Turn{true, {}, {}, {}, {}, {}, {}, {}};
    };
    if (turns.empty() || !turns.front().user)
        turns.insert(turns.begin(), added(turns.empty() ? Raw() : turns.front().at));
    if (!turns.back().user)
        turns.push_back(added(turns.back().at));
}

void pair_results(Turns &turns, chat::Arena &arena) {
    CallIds ids(arena);
    std::vector<Call> none;
    for (size_t i = 0; i < turns.size(); i++) {
        if (turns[i].user)
            pair(i > 0 ? turns[i - 1].calls : none, turns[i], ids, arena);
    }
}

void hoist_images(Turns &turns, chat::Arena &arena) {
    for (Turn &turn : turns) {
        std::vector<chat::Image> hoisted;
        std::string legend;
        for (Result &result : turn.results) {
            for (const chat::Image &image : result.images) {
                hoisted.push_back(image);
                arena.note(Rule::image_hoisted, image.base64);
                std::string number = std::to_string(hoisted.size());
                if (!legend.empty())
                    legend += "; ";
                legend += "image " + number + " = result of call ";
                legend += result.id;
                result.texts.push_back(arena.keep("[image " + number + " of this message]"));
            }
            result.images.clear();
        }
        if (hoisted.empty())
            continue;
        append(hoisted, turn.images);
        turn.images = std::move(hoisted);
        turn.texts.insert(turn.texts.begin(), arena.keep("[" + legend + "]"));
    }
}

void hoist_documents(Turns &turns, chat::Arena &arena) {
    for (Turn &turn : turns) {
        std::vector<chat::Document> hoisted;
        for (Result &result : turn.results) {
            for (const chat::Document &document : result.documents) {
                hoisted.push_back(document);
                arena.note(Rule::document_hoisted, document.base64);
                result.texts.push_back(
                    arena.keep("[document " + std::to_string(hoisted.size()) + " of this message]"));
            }
            result.documents.clear();
        }
        append(hoisted, turn.documents);
        turn.documents = std::move(hoisted);
    }
}

void fill_results(Turns &turns, chat::Arena &arena) {
    for (Turn &turn : turns) {
        for (Result &result : turn.results) {
            bool blank = std::all_of(result.texts.begin(), result.texts.end(), json::is_blank);
            if (blank) {
                result.texts = {no_text};
                arena.note(Rule::empty_result_filled, result.client_id);
            }
            if (result.failed && !begins_with_error(result.texts.front())) {
                result.texts.front() = arena.keep("Error: " + std::string(result.texts.front()));
                arena.note(Rule::tool_error_told, result.client_id);
            }
        }
    }
}

bool drop_reasoning(Turns &turns) {
    bool any = false;
    for (Turn &turn : turns) {
        any = any || turn.thought.has_value();
        turn.thought.reset();
    }
    return any;
}

void fill_blank_turns(Turns &turns, bool has_system, bool has_closing, chat::Arena &arena) {
    for (size_t i = 0; i < turns.size(); i++) {
        Turn &turn = turns[i];
        bool has_text =
            !turn.texts.empty() || (i == 0 && has_system) || (i + 1 == turns.size() && has_closing);
        if (turn.user && !has_text && turn.results.empty()) {
            turn.texts.push_back(silent_turn);
            arena.note(Rule::empty_text_filled, turn.at);
        }
    }
}

} // namespace kiro::kiro
