// InvokeMCP: the service's web search as a JSON-RPC call.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/chat/search.h"
#include "kiro/kiro.h"

namespace kiro::kiro {

using json::Raw;

// Replaces out. id is ours to choose; profile_arn may be empty.
void write_search(Raw query, std::string_view id, std::string_view profile_arn, std::string &out);

// Collects the answer, which is one JSON object.
class SearchReader {
public:
    // False: larger than any answer.
    bool feed(std::string_view data);

    // What came, once, at the end. nullopt: it is no JSON-RPC answer at all. The result's hits, which are
    // those that the offer wants, live in the reader; its id and query are left empty.
    std::optional<chat::Search> finish(const chat::SearchOffer &offer);

private:
    std::string body_;
    std::string text_; // the JSON inside
    std::vector<chat::SearchHit> hits_;
};

} // namespace kiro::kiro
