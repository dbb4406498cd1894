#include "core/chat/search.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "core/json/writer.h"

namespace kiro::chat {

namespace {

constexpr std::string_view tool_name = "web_search";

// Claude Code wraps what its own search tool was called with.
constexpr std::string_view claude_code_lead = "Perform a web search for the query:";

// Longer than this it is a text, not a query.
constexpr size_t max_query = 1000;

constexpr std::string_view carried_mark = "text:";

constexpr std::string_view blanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
    size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::string_view cut(std::string_view utf8) {
    if (utf8.size() <= max_query)
        return utf8;
    size_t end = max_query;
    while (end > 0 && (static_cast<unsigned char>(utf8[end]) & 0xC0) == 0x80)
        end--;
    return utf8.substr(0, end);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

struct Address {
    std::string_view host;
    std::string_view path; // empty or with its slash
};

// https://user@Host:443/path?query, or without what stands before the host.
Address address_of(std::string_view url) {
    if (size_t scheme = url.find("://"); scheme != std::string_view::npos)
        url.remove_prefix(scheme + 3);
    size_t end = std::min(url.find_first_of("/?#"), url.size());
    Address address{url.substr(0, end), url.substr(end)};
    if (size_t user = address.host.find('@'); user != std::string_view::npos)
        address.host.remove_prefix(user + 1);
    address.host = address.host.substr(0, address.host.find(':'));
    while (!address.path.empty() && address.path.back() == '/')
        address.path.remove_suffix(1);
    return address;
}

// "example.com" stands for its subdomains too, "example.com/blog" for what is below.
bool covers(std::string_view domain, const Address &address) {
    Address rule = address_of(domain);
    if (rule.host.empty() || rule.host.size() > address.host.size())
        return false;
    size_t extra = address.host.size() - rule.host.size();
    if (!same(address.host.substr(extra), rule.host) || (extra > 0 && address.host[extra - 1] != '.'))
        return false;
    if (!address.path.starts_with(rule.path))
        return false;
    std::string_view rest = address.path.substr(rule.path.size());
    return rest.empty() || rest[0] == '/' || rest[0] == '?' || rest[0] == '#' || rule.path.empty();
}

bool any_covers(const std::vector<Raw> &domains, const Address &address) {
    return std::any_of(domains.begin(), domains.end(),
                       [&](Raw domain) { return covers(trimmed(json::unescaped(domain)), address); });
}

} // namespace

std::string direct_query(const Conversation &conversation) {
    if (!conversation.web_search || !conversation.tools.empty() || conversation.tool_mode == ToolMode::none ||
        (conversation.tool_mode == ToolMode::named && !json::equals(conversation.tool_name, tool_name)))
        return {};
    const Message &last = conversation.messages.back();
    if (last.role != Role::user)
        return {};
    std::string query;
    for (const Block &block : last.blocks) {
        const auto *text = std::get_if<Text>(&block);
        if (text == nullptr) // an image or a tool's result is for a model
            return {};
        std::string plain = json::unescaped(text->text);
        std::string_view words = trimmed(plain);
        if (words.starts_with(claude_code_lead)) {
            query = trimmed(words.substr(claude_code_lead.size()));
            break;
        }
        if (!words.empty())
            query = words;
    }
    return std::string(trimmed(cut(query)));
}

bool wanted(const SearchOffer &offer, Raw url) {
    if (offer.allowed.empty() && offer.blocked.empty())
        return true;
    std::string plain = json::unescaped(url);
    Address address = address_of(plain);
    return (offer.allowed.empty() || any_covers(offer.allowed, address)) &&
           !any_covers(offer.blocked, address);
}

void append_date(std::string &out, int64_t unix_ms) {
    static constexpr std::array months{"January", "February", "March",     "April",   "May",      "June",
                                       "July",    "August",   "September", "October", "November", "December"};
    using namespace std::chrono;
    const year_month_day date(floor<days>(sys_time<milliseconds>(milliseconds(unix_ms))));
    out += months[static_cast<unsigned>(date.month()) - 1];
    out += ' ';
    json::append_uint(out, static_cast<unsigned>(date.day()));
    out += ", ";
    json::append_int(out, static_cast<int>(date.year()));
}

std::string render(const Search &search) {
    std::string out;
    if (search.failed || search.hits.empty()) {
        out += search.failed ? "The web search for \\\"" : "No web page was found for \\\"";
        out += search.query;
        out += search.failed ? "\\\" failed." : "\\\".";
        return out;
    }
    out += "Web search results for \\\"";
    out += search.query;
    out += "\\\":";
    size_t number = 0;
    for (const SearchHit &hit : search.hits) {
        out += "\\n\\n";
        json::append_uint(out, ++number);
        out += ". ";
        out += hit.title;
        out += "\\n";
        out += hit.url;
        if (hit.published) {
            out += "\\n";
            append_date(out, *hit.published);
        }
        if (!hit.snippet.empty()) {
            out += "\\n";
            out += hit.snippet;
        }
    }
    return out;
}

void append_carried(std::string &out, Raw snippet) {
    out += carried_mark;
    out += snippet;
}

Raw carried_text(Raw carried) {
    return carried.starts_with(carried_mark) ? carried.substr(carried_mark.size()) : Raw();
}

} // namespace kiro::chat
