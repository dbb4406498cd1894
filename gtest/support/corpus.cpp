#include "support/corpus.h"

#include <algorithm>
#include <fstream>
#include <simdjson.h>
#include <stdexcept>

#include "core/json/cursor.h"
#include "support/data.h"

namespace kiro::test {

namespace {

namespace fs = std::filesystem;
using json::Cursor;

constexpr size_t line_length = 110;

struct Dialect {
    std::string_view prefix;
    kiro_api api;
};

constexpr Dialect dialects[] = {
    {"openai_", KIRO_API_OPENAI_CHAT},
    {"anthropic_", KIRO_API_ANTHROPIC},
    {"responses_", KIRO_API_OPENAI_RESPONSES},
};

// On one line, a space after commas and colons.
std::string spaced(std::string_view json) {
    std::string out;
    bool in_string = false;
    for (size_t i = 0; i < json.size(); i++) {
        char c = json[i];
        out += c;
        if (in_string && c == '\\')
            out += json[++i];
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ',' || c == ':'))
            out += ' ';
    }
    return out;
}

void append_pretty(std::string &out, std::string_view json, size_t indent, size_t column) {
    bool container = json.starts_with('{') || json.starts_with('[');
    std::string line = spaced(json);
    if (!container || column + line.size() <= line_length) {
        out += line;
        return;
    }
    out += json.front();
    char separator = '\n';
    auto begin_item = [&] {
        if (separator == ',')
            out += ",\n";
        else
            out += separator;
        separator = ',';
        out.append(indent + 1, ' ');
    };
    Cursor cursor(json);
    if (json.front() == '{') {
        cursor.members([&](json::Raw key, Cursor &value) {
            begin_item();
            out += '"';
            out += key;
            out += "\": ";
            append_pretty(out, value.value(), indent + 1, indent + key.size() + 5);
        });
    } else {
        cursor.items([&](Cursor &value) {
            begin_item();
            append_pretty(out, value.value(), indent + 1, indent + 1);
        });
    }
    out += '\n';
    out.append(indent, ' ');
    out += json.back();
}

Golden load(const fs::path &path) {
    Golden golden;
    golden.path = path;
    std::ifstream file(path);
    golden.text.assign(std::istreambuf_iterator<char>(file), {});
    return golden;
}

// Views into golden.text, which must not move any more.
void index(Golden &golden) {
    Cursor(golden.text).members([&](json::Raw key, Cursor &cursor) {
        auto value = cursor.value();
        if (key == "about")
            golden.about = value;
        else if (key == "notice")
            golden.notice = value;
        else if (key == "request")
            golden.request = value;
        else if (key == "upstream")
            golden.upstream = value;
        else if (key == "refused")
            golden.refused = value;
    });
}

} // namespace

kiro_api Golden::api() const {
    std::string stem = name();
    for (const auto &dialect : dialects) {
        if (stem.starts_with(dialect.prefix))
            return dialect.api;
    }
    throw std::runtime_error(stem + ": the name begins with no dialect");
}

std::vector<Golden> corpus() {
    std::vector<Golden> out;
    for (const auto &entry : fs::directory_iterator(data_path("requests")))
        out.push_back(load(entry.path()));
    std::sort(out.begin(), out.end(), [](const Golden &a, const Golden &b) { return a.path < b.path; });
    for (Golden &golden : out)
        index(golden);
    return out;
}

bool parse(const Golden &golden, ClientRequest &request) {
    if (!request.parse(golden.request))
        return false;
    if (golden.notice.empty())
        return true;
    const std::string_view names = golden.notice.substr(1, golden.notice.size() - 2);
    return kiro_request_notice(request.request.get(), {names.data(), names.size()}) == KIRO_OK;
}

std::string minified(std::string_view text) {
    std::string out(text.size(), '\0');
    size_t size = 0;
    if (simdjson::minify(text.data(), text.size(), out.data(), size) != simdjson::SUCCESS)
        return "not JSON";
    out.resize(size);
    return out;
}

std::string pretty(std::string_view text) {
    std::string out;
    append_pretty(out, minified(text), 0, 0);
    return out;
}

void update(const Golden &golden, std::string_view key, std::string_view json) {
    std::string out = "{\n \"about\": ";
    out += golden.about;
    if (!golden.notice.empty()) {
        out += ",\n \"notice\": ";
        out += golden.notice;
    }
    out += ",\n \"request\": ";
    append_pretty(out, minified(golden.request), 1, 12);
    out += ",\n \"";
    out += key;
    out += "\": ";
    append_pretty(out, minified(json), 1, key.size() + 5);
    out += "\n}\n";
    std::ofstream(golden.path) << out;
}

} // namespace kiro::test
