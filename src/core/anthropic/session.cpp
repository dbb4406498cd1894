#include "core/anthropic/session.h"

#include "core/json/cursor.h"
#include "core/json/validate.h"

namespace kiro::anthropic {

chat::Raw session_of_user_id(chat::Raw user_id, chat::Arena &arena) {
    constexpr std::string_view mark = "_session_";
    if (user_id.starts_with('{')) {
        std::string text = json::unescaped(user_id);
        if (!json::validate(text))
            return {};
        std::string session;
        json::Cursor(text).members([&](json::Raw key, json::Cursor &cursor) {
            if (key == "session_id" && cursor.is_string())
                session = cursor.string();
            else
                cursor.value();
        });
        return arena.keep(std::move(session));
    }
    size_t at = user_id.rfind(mark);
    return at == chat::Raw::npos ? chat::Raw() : user_id.substr(at + mark.size());
}

} // namespace kiro::anthropic
