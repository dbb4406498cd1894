#include "core/kiro/search.h"

#include "core/json/cursor.h"
#include "core/json/scan.h"
#include "core/json/validate.h"
#include "core/json/writer.h"

namespace kiro::kiro {

namespace {

constexpr size_t max_answer = 8 * 1024 * 1024;
constexpr int64_t max_date = 253402300799999; // the year 9999

struct RpcAnswer {
    bool told = false;     // has a result or an error
    bool failed = false;   // an error, or the tool says that it failed
    bool has_text = false; // content[0].text
    Raw text;
};

void read_result(json::Cursor &cursor, RpcAnswer &answer) {
    cursor.members([&](Raw key, json::Cursor &at) {
        if (key == "isError") {
            answer.failed |= at.value() == "true";
        } else if (key == "content" && at.is_array()) {
            bool first = true;
            at.items([&](json::Cursor &item) {
                if (!first || !item.is_object()) {
                    item.value();
                } else {
                    item.members([&](Raw name, json::Cursor &member) {
                        if (name == "text" && member.is_string()) {
                            answer.has_text = true;
                            answer.text = member.string();
                        } else {
                            member.value();
                        }
                    });
                }
                first = false;
            });
        } else {
            at.value();
        }
    });
}

RpcAnswer read_rpc(std::string_view body) {
    RpcAnswer answer;
    json::Cursor cursor(body);
    if (!cursor.is_object())
        return answer;
    cursor.members([&](Raw key, json::Cursor &at) {
        if (key == "error" && !at.is_null()) {
            answer.told = answer.failed = true;
            at.value();
        } else if (key == "result" && at.is_object()) {
            answer.told = true;
            read_result(at, answer);
        } else {
            at.value();
        }
    });
    return answer;
}

std::optional<int64_t> date_of(std::string_view value) {
    auto ms = json::to_double(value);
    if (!ms || !(*ms > 0) || *ms > static_cast<double>(max_date))
        return std::nullopt;
    return static_cast<int64_t>(*ms);
}

chat::SearchHit read_hit(json::Cursor &cursor) {
    chat::SearchHit hit;
    cursor.members([&](Raw key, json::Cursor &at) {
        if (key == "publishedDate") {
            hit.published = date_of(at.value());
        } else if (!at.is_string()) {
            at.value();
        } else if (Raw text = at.string(); key == "title") {
            hit.title = text;
        } else if (key == "url") {
            hit.url = text;
        } else if (key == "snippet") {
            hit.snippet = text;
        }
    });
    if (json::is_blank(hit.title))
        hit.title = hit.url;
    return hit;
}

} // namespace

void write_search(Raw query, std::string_view id, std::string_view profile_arn, std::string &out) {
    out = R"({"id":")";
    out += id;
    out += R"(","jsonrpc":"2.0","method":"tools/call","params":{"name":"web_search","arguments":{"query":")";
    out += query;
    out += R"("}})";
    if (!profile_arn.empty()) {
        out += R"(,"profileArn":)";
        json::append_string(out, profile_arn);
    }
    out += '}';
}

bool SearchReader::feed(std::string_view data) {
    if (data.size() > max_answer - body_.size())
        return false;
    body_.append(data);
    return true;
}

std::optional<chat::Search> SearchReader::finish(const chat::SearchOffer &offer) {
    if (!json::validate(body_))
        return std::nullopt;
    const RpcAnswer answer = read_rpc(body_);
    if (!answer.told)
        return std::nullopt;

    chat::Search search;
    search.failed = true;
    if (answer.failed || !answer.has_text)
        return search;
    text_.clear();
    json::unescape(answer.text, text_);
    const json::Validation verdict = json::validate(text_);
    if (!verdict)
        return search;
    if (verdict.lone_surrogates)
        json::replace_lone_surrogates(text_.data(), text_.size());

    bool listed = false;
    bool faulty = false;
    hits_.clear();
    json::Cursor(text_).members([&](Raw key, json::Cursor &at) {
        if (key == "results" && at.is_array()) {
            listed = true;
            at.items([&](json::Cursor &item) {
                if (!item.is_object()) {
                    item.value();
                    return;
                }
                const chat::SearchHit hit = read_hit(item);
                if (!json::is_blank(hit.url) && chat::wanted(offer, hit.url))
                    hits_.push_back(hit);
            });
        } else {
            faulty |= key == "error" && !at.is_null();
            at.value();
        }
    });
    // Nothing found is a success only if the service says so itself.
    if (listed && !(faulty && hits_.empty())) {
        search.failed = false;
        search.hits = hits_;
    }
    return search;
}

} // namespace kiro::kiro
