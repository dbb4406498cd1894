// The service's own web search, in no dialect. Raw strings are JSON-escaped slices, as everywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/chat/conversation.h"

namespace kiro::chat {

struct SearchHit {
    Raw title;                        // not empty
    Raw url;                          // not empty
    Raw snippet;                      // may be empty
    std::optional<int64_t> published; // Unix milliseconds
};

// A search that is over.
struct Search {
    std::string_view id; // hex digits, unique, without the dialect's prefix
    Raw query;
    std::span<const SearchHit> hits;
    bool failed = false; // then without hits
};

// What is to be looked for if the request is a search rather than a talk to a model, in UTF-8; else empty.
std::string direct_query(const Conversation &conversation);

// Whether the client wants to hear of this address.
bool wanted(const SearchOffer &offer, Raw url);

// "January 1, 2026", in UTC.
void append_date(std::string &out, int64_t unix_ms);

// The hits as text for a reader, raw.
std::string render(const Search &search);

// A snippet on its way through a client that brings it back, in a field that is opaque to it: marked, so that
// what others sealed is not taken for text.
void append_carried(std::string &out, Raw snippet);

// The snippet again; empty: it is none of ours.
Raw carried_text(Raw carried);

} // namespace kiro::chat
