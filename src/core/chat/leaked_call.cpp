#include "core/chat/leaked_call.h"

#include <span>
#include <string_view>

#include "core/json/cursor.h"
#include "core/json/space.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace kiro::chat {

namespace {

using std::string_view;

constexpr std::size_t max_name = 256;
constexpr string_view name_end = "\">";
constexpr string_view value_end = "</parameter>";

bool is_object(std::string &text) {
    const json::Validation validation = json::validate(text);
    if (!validation || text.empty() || text.front() != '{')
        return false;
    if (validation.lone_surrogates)
        json::replace_lone_surrogates(text.data(), text.size());
    return true;
}

bool is_string_type(json::Cursor &type) {
    if (!type.is_array())
        return !type.is_string() || type.string() == "string";
    bool any = false;
    type.items([&](json::Cursor &item) {
        if (item.is_string())
            any |= item.string() == "string";
        else
            item.value();
    });
    return any;
}

// Names of the properties that are something else than a string.
std::unordered_set<std::string> other_types(string_view schema) {
    std::unordered_set<std::string> others;
    const auto in_properties = [&](json::Raw key, json::Cursor &value) {
        if (!value.is_object()) {
            value.value();
            return;
        }
        value.members([&](json::Raw member, json::Cursor &type) {
            if (member != "type") {
                type.value();
                return;
            }
            json::Cursor named(type.value());
            if (is_string_type(named))
                others.erase(json::unescaped(key));
            else
                others.insert(json::unescaped(key));
        });
    };
    json::Cursor(schema).members([&](json::Raw key, json::Cursor &value) {
        if (key == "properties" && value.is_object())
            value.members(in_properties);
        else
            value.value();
    });
    return others;
}

} // namespace

struct LeakedCallParser::Word {
    string_view text;
    Step next;
};

void LeakedCallParser::reset() {
    calls_.clear();
    step_ = Step::opener;
    bytes_ = depth_ = 0;
    text_.clear();
    string_ = escape_ = false;
}

LeakedCallParser::Verdict LeakedCallParser::take(char byte) {
    if (++bytes_ > max_bytes)
        return Verdict::no;
    const Verdict verdict = step(byte);
    return verdict == Verdict::maybe && step_ == Step::done ? Verdict::yes : verdict;
}

// One of the words that may stand here, where most have white space in front.
LeakedCallParser::Verdict LeakedCallParser::expect(char byte) {
    static constexpr Word openers[] = {
        {"[Called ", Step::called_name}, {"<function_calls>", Step::invoke}, {"<tool_call>", Step::tag_json}};
    static constexpr Word args[] = {{"with args: ", Step::called_json}};
    static constexpr Word bracket[] = {{"]", Step::done}};
    static constexpr Word invoke[] = {{"<invoke name=\"", Step::invoke_name}};
    static constexpr Word inside[] = {{"<parameter name=\"", Step::parameter_name},
                                      {"</invoke>", Step::after_invoke}};
    static constexpr Word after[] = {{"<invoke name=\"", Step::invoke_name},
                                     {"</function_calls>", Step::done}};
    static constexpr Word tag[] = {{"</tool_call>", Step::done}};

    std::span<const Word> words;
    bool space = true;
    switch (step_) {
    case Step::called_args:
        words = args;
        space = false;
        break;
    case Step::called_close:
        words = bracket;
        break;
    case Step::invoke:
        words = invoke;
        break;
    case Step::in_invoke:
        words = inside;
        break;
    case Step::after_invoke:
        words = after;
        break;
    case Step::tag_close:
        words = tag;
        break;
    default:
        words = openers;
        space = false;
        break;
    }
    if (space && text_.empty() && json::is_space(byte))
        return Verdict::maybe;
    text_ += byte;
    for (const Word &word : words) {
        if (word.text == text_) {
            step_ = word.next;
            text_.clear();
            return Verdict::maybe;
        }
        if (word.text.starts_with(text_))
            return Verdict::maybe;
    }
    return Verdict::no;
}

// True: text_ is all that stands in front of end.
bool LeakedCallParser::token(char byte, string_view end) {
    text_ += byte;
    if (!text_.ends_with(end))
        return false;
    text_.resize(text_.size() - end.size());
    return true;
}

// False: it is no object. whole: text_ is one.
bool LeakedCallParser::json(char byte, bool &whole) {
    if (text_.empty()) {
        if (json::is_space(byte))
            return true;
        if (byte != '{')
            return false;
    }
    text_ += byte;
    if (string_) {
        if (escape_)
            escape_ = false;
        else if (byte == '\\')
            escape_ = true;
        else if (byte == '"')
            string_ = false;
        return true;
    }
    string_ = byte == '"';
    if (byte == '{' || byte == '[')
        depth_++;
    if ((byte == '}' || byte == ']') && --depth_ == 0)
        whole = is_object(text_);
    return depth_ > 0 || whole;
}

bool LeakedCallParser::begin_call(string_view name) {
    const Callable *tool = tools_->find(name);
    if (tool == nullptr)
        return false;
    calls_.push_back({*tool, "{"});
    return true;
}

// Unless the schema says that the property is something else. A text may have thousands of parameters.
bool LeakedCallParser::takes_string(string_view schema) {
    if (schema.empty())
        return true;
    const auto [known, made] = others_.try_emplace(schema.data());
    if (made)
        known->second = other_types(schema);
    return !known->second.contains(parameter_);
}

void LeakedCallParser::add_parameter() {
    RescuedCall &call = calls_.back();
    if (call.input.size() > 1)
        call.input += ',';
    json::append_string(call.input, parameter_);
    call.input += ':';
    const json::Validation validation = json::validate(text_);
    if (validation && !validation.lone_surrogates && !takes_string(call.tool.schema))
        call.input += text_;
    else
        json::append_string(call.input, text_);
}

// {"name": ..., "arguments": {...}}
bool LeakedCallParser::read_tag() {
    std::string name;
    string_view input;
    json::Cursor(text_).members([&](json::Raw key, json::Cursor &value) {
        if (key == "name" && value.is_string())
            name = json::unescaped(value.string());
        else if (key == "arguments" && value.is_object())
            input = value.value();
        else
            value.value();
    });
    if (input.empty() || !begin_call(name))
        return false;
    calls_.back().input = input;
    return true;
}

LeakedCallParser::Verdict LeakedCallParser::step(char byte) {
    bool whole = false;
    bool good = true;
    switch (step_) {
    case Step::called_name:
        if (byte == ' ') {
            good = begin_call(text_);
            text_.clear();
            step_ = Step::called_args;
        } else {
            text_ += byte;
            good = !json::is_space(byte) && text_.size() <= max_name;
        }
        break;
    case Step::called_json:
        good = json(byte, whole);
        if (whole) {
            calls_.back().input = std::move(text_);
            text_.clear();
            step_ = Step::called_close;
        }
        break;
    case Step::tag_json:
        good = json(byte, whole);
        if (whole) {
            good = read_tag();
            text_.clear();
            step_ = Step::tag_close;
        }
        break;
    case Step::invoke_name:
        if (token(byte, name_end)) {
            good = begin_call(text_);
            text_.clear();
            step_ = Step::in_invoke;
        } else {
            good = byte != '\n' && text_.size() <= max_name;
        }
        break;
    case Step::parameter_name:
        if (token(byte, name_end)) {
            parameter_ = std::move(text_);
            text_.clear();
            step_ = Step::parameter_value;
        } else {
            good = byte != '\n' && text_.size() <= max_name;
        }
        break;
    case Step::parameter_value:
        if (token(byte, value_end)) {
            add_parameter();
            text_.clear();
            step_ = Step::in_invoke;
        }
        break;
    default: {
        const bool open = step_ == Step::in_invoke;
        const Verdict verdict = expect(byte);
        if (open && step_ == Step::after_invoke)
            calls_.back().input += '}';
        return verdict;
    }
    }
    return good ? Verdict::maybe : Verdict::no;
}

} // namespace kiro::chat
