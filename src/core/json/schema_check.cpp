#include "core/json/schema_check.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/json/cursor.h"
#include "core/json/scan.h"
#include "core/json/writer.h"

namespace kiro::json {

namespace {

using std::string_view;

constexpr int max_depth = 64;
constexpr std::size_t max_shown = 60; // of a key or value in a message

using Members = std::unordered_map<std::string, string_view>;

Members members_of(string_view object) {
    Members members;
    Cursor(object).members([&](Raw key, Cursor &cursor) { members[unescaped(key)] = cursor.value(); });
    return members;
}

std::vector<string_view> items_of(string_view array) {
    std::vector<string_view> items;
    Cursor(array).items([&](Cursor &cursor) { items.push_back(cursor.value()); });
    return items;
}

string_view type_of(string_view value) {
    switch (value.empty() ? '\0' : value.front()) {
    case '{':
        return "object";
    case '[':
        return "array";
    case '"':
        return "string";
    case 't':
    case 'f':
        return "boolean";
    case 'n':
        return "null";
    default:
        return "number";
    }
}

bool is_integer(string_view value) {
    const std::optional<double> number = to_double(value);
    return number && std::floor(*number) == *number;
}

string_view string_of(string_view value) {
    return Cursor(value).string();
}

bool has_type(string_view value, string_view type) {
    const string_view actual = type_of(value);
    return actual == type || (type == "integer" && actual == "number" && is_integer(value));
}

std::string shown(string_view value) {
    if (value.size() <= max_shown)
        return std::string(value);
    std::size_t end = max_shown;
    while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0) == 0x80)
        end--;
    return std::string(value.substr(0, end)) + "...";
}

class Checker {
public:
    Checker(string_view schema, string_view value)
        : root_(schema), budget_(2 * (schema.size() + value.size()) + (8U << 20)) {}

    // False: wrong_ says why. path_ is where value stands.
    bool matches(string_view schema, string_view value, int depth);

    std::string wrong() const { return wrong_; }

private:
    bool fail(const std::string &what) {
        wrong_ = path_ + ": " + what;
        return false;
    }

    // Runs check with the path grown by a step.
    template <class Check> bool at(const std::string &step, Check &&check) {
        const std::size_t size = path_.size();
        path_ += step;
        const bool good = check();
        path_.resize(size);
        return good;
    }

    bool check_type(string_view type, string_view value);
    bool check_enum(string_view values, string_view value, int depth);
    bool check_object(const Members &schema, string_view value, int depth);
    bool check_array(const Members &schema, string_view value, int depth);
    bool check_choice(string_view choices, string_view value, int depth, bool one);
    std::optional<string_view> resolve(string_view reference);
    bool equal(string_view a, string_view b, int depth);

    // Takes the bytes from the budget. False: they are too many.
    bool afford(std::size_t bytes) {
        const bool enough = bytes <= budget_;
        budget_ = enough ? budget_ - bytes : 0;
        return enough;
    }

    string_view root_;
    std::size_t budget_; // bytes that may still be looked at
    std::string path_ = "$";
    std::string wrong_;
};

std::optional<string_view> find(const Members &members, const char *key) {
    const auto found = members.find(key);
    return found == members.end() ? std::nullopt : std::optional(found->second);
}

bool Checker::equal(string_view a, string_view b, int depth) {
    if (!afford(a.size() + b.size()))
        return true;
    const string_view type = type_of(a);
    if (type != type_of(b) || depth > max_depth)
        return false;
    if (type == "string")
        return unescaped(string_of(a)) == unescaped(string_of(b));
    if (type == "number")
        return to_double(a) == to_double(b);
    if (type == "array") {
        const std::vector<string_view> left = items_of(a), right = items_of(b);
        return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                          [&](string_view x, string_view y) { return equal(x, y, depth + 1); });
    }
    if (type == "object") {
        const Members left = members_of(a), right = members_of(b);
        return left.size() == right.size() && std::all_of(left.begin(), left.end(), [&](const auto &entry) {
                   const auto other = right.find(entry.first);
                   return other != right.end() && equal(entry.second, other->second, depth + 1);
               });
    }
    return a == b;
}

bool Checker::check_type(string_view type, string_view value) {
    std::vector<string_view> types;
    if (type.starts_with('['))
        types = items_of(type);
    else
        types.push_back(type);
    std::string expected;
    for (string_view one : types) {
        const string_view name = string_of(one);
        if (name.empty() || has_type(value, name))
            return true;
        expected += (expected.empty() ? "" : " or ") + std::string(name);
    }
    return fail("expected " + expected + ", got " + std::string(type_of(value)));
}

bool Checker::check_enum(string_view values, string_view value, int depth) {
    for (string_view one : items_of(values)) {
        if (equal(one, value, depth))
            return true;
    }
    return fail(shown(value) + " is none of " + shown(values));
}

bool Checker::check_object(const Members &schema, string_view value, int depth) {
    const Members members = members_of(value);
    if (const auto required = find(schema, "required")) {
        for (string_view name : items_of(*required)) {
            if (type_of(name) == "string" && members.count(unescaped(string_of(name))) == 0)
                return fail("\"" + shown(unescaped(string_of(name))) + "\" is missing");
        }
    }
    const auto properties = find(schema, "properties");
    const auto patterns = find(schema, "patternProperties");
    const auto others = find(schema, "additionalProperties");
    const Members known = properties ? members_of(*properties) : Members();
    bool good = true;
    Cursor(value).members([&](Raw key, Cursor &cursor) {
        const string_view member = cursor.value();
        if (!good)
            return;
        const std::string name = unescaped(key);
        const auto property = known.find(name);
        if (property == known.end() && (patterns || !others))
            return;
        if (property == known.end() && *others == "false") {
            good = fail("\"" + shown(name) + "\" is not allowed");
            return;
        }
        const string_view rule = property == known.end() ? *others : property->second;
        good = at("." + shown(name), [&] { return matches(rule, member, depth + 1); });
    });
    return good;
}

bool Checker::check_array(const Members &schema, string_view value, int depth) {
    const std::vector<string_view> items = items_of(value);
    if (const auto least = find(schema, "minItems"); least && items.size() < to_uint(*least).value_or(0))
        return fail("expected at least " + std::string(*least) + " items, got " +
                    std::to_string(items.size()));
    if (const auto most = find(schema, "maxItems");
        most && items.size() > to_uint(*most).value_or(items.size()))
        return fail("expected at most " + std::string(*most) + " items, got " + std::to_string(items.size()));
    std::vector<string_view> first;
    if (const auto prefix = find(schema, "prefixItems"))
        first = items_of(*prefix);
    const auto rest = find(schema, "items");
    for (std::size_t i = 0; i < items.size(); i++) {
        if (i >= first.size() && !rest)
            break;
        const string_view rule = i < first.size() ? first[i] : *rest;
        if (!at("[" + std::to_string(i) + "]", [&] { return matches(rule, items[i], depth + 1); }))
            return false;
    }
    return true;
}

bool Checker::check_choice(string_view choices, string_view value, int depth, bool one) {
    std::size_t fitting = 0;
    std::string why;
    const std::vector<string_view> rules = items_of(choices);
    for (string_view rule : rules) {
        if (matches(rule, value, depth + 1)) {
            fitting++;
            if (!one)
                return true;
        } else if (why.empty()) {
            why = wrong_;
        }
    }
    if (fitting == 1 || rules.empty())
        return true;
    if (fitting > 1)
        return fail("fits more than one of the alternatives");
    wrong_ = why; // of the first alternative
    return false;
}

// "#/$defs/name" and its like.
std::optional<string_view> Checker::resolve(string_view reference) {
    std::string pointer = unescaped(reference);
    if (!pointer.starts_with('#'))
        return std::nullopt;
    string_view at = root_;
    string_view rest = string_view(pointer).substr(1);
    while (!rest.empty()) {
        if (rest.front() != '/')
            return std::nullopt;
        rest.remove_prefix(1);
        std::string token(rest.substr(0, rest.find('/')));
        rest.remove_prefix(token.size());
        for (std::size_t tilde = 0; (tilde = token.find('~', tilde)) != std::string::npos; tilde++) {
            const bool slash = tilde + 1 < token.size() && token[tilde + 1] == '1';
            token.replace(tilde, 2, slash ? "/" : "~");
        }
        std::optional<string_view> next;
        afford(at.size());
        if (at.starts_with('{')) {
            Cursor(at).members([&](Raw key, Cursor &cursor) {
                const string_view value = cursor.value();
                if (equals(key, token))
                    next = value;
            });
        } else if (at.starts_with('[')) {
            std::size_t index = 0;
            const auto end = token.data() + token.size();
            if (std::from_chars(token.data(), end, index).ptr != end)
                return std::nullopt;
            const std::vector<string_view> items = items_of(at);
            if (index < items.size())
                next = items[index];
        }
        if (!next)
            return std::nullopt;
        at = *next;
    }
    return at;
}

bool Checker::matches(string_view schema, string_view value, int depth) {
    if (schema == "false")
        return fail("no value is allowed here");
    if (depth > max_depth || !schema.starts_with('{') || !afford(schema.size() + value.size()))
        return true;

    const Members rules = members_of(schema);
    if (const auto reference = find(rules, "$ref"); reference && type_of(*reference) == "string") {
        const auto target = resolve(string_of(*reference));
        if (target && !matches(*target, value, depth + 1))
            return false;
    }
    if (const auto type = find(rules, "type"); type && !check_type(*type, value))
        return false;
    if (const auto values = find(rules, "enum"); values && !check_enum(*values, value, depth))
        return false;
    if (const auto constant = find(rules, "const"); constant && !equal(*constant, value, depth))
        return fail("expected " + shown(*constant));
    if (value.starts_with('{') && !check_object(rules, value, depth))
        return false;
    if (value.starts_with('[') && !check_array(rules, value, depth))
        return false;
    if (const auto all = find(rules, "allOf")) {
        for (string_view rule : items_of(*all)) {
            if (!matches(rule, value, depth + 1))
                return false;
        }
    }
    if (const auto any = find(rules, "anyOf"); any && !check_choice(*any, value, depth, false))
        return false;
    if (const auto one = find(rules, "oneOf"); one && !check_choice(*one, value, depth, true))
        return false;
    return true;
}

} // namespace

std::string schema_mismatch(string_view schema, string_view value) {
    const string_view rule = Cursor(schema).value(); // without the space around
    const string_view instance = Cursor(value).value();
    Checker checker(rule, instance);
    return checker.matches(rule, instance, 0) ? std::string() : checker.wrong();
}

} // namespace kiro::json
