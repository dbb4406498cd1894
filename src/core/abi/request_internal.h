// The handle behind kiro/request.h, for the C++ side of the core.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "core/chat/callable.h"
#include "core/chat/changes.h"
#include "core/chat/conversation.h"
#include "core/kiro/count.h"
#include "core/kiro/request.h"
#include "kiro/request.h"

struct kiro_request {
    std::atomic<unsigned> owners = 1;
    std::unique_ptr<char[]> buffer; // length bytes of body
    size_t length = 0;

    std::unique_ptr<kiro::chat::Changes> changes; // nullptr: nobody asks

    bool parsed = false;
    bool known_model = false; // by the catalogue or the operator
    kiro::chat::Conversation conversation;
    kiro::kiro::Request upstream;
    kiro::chat::CallableTools callable; // whose calls are rescued from the text
    std::string client_model;           // JSON-escaped
    std::string search_query;           // raw; not empty: what is asked for instead of a model's answer
    std::string body;                   // last written

    kiro::kiro::Countable countable;        // written by parse only
    std::atomic<std::uint64_t> counted = 0; // input tokens
};
