// A model as clients are told about it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace kiro::chat {

struct Model {
    std::string_view id; // UTF-8, as all texts here
    std::string_view name;
    std::string_view description;
    uint32_t context = 0; // tokens; 0: unknown
    uint32_t output = 0;
    uint32_t rate = 0; // cost, in thousandths; 0: unknown
    bool images = false;
    bool documents = false;
    bool thinks = false;                   // natively
    bool thinking_can_be_off = false;      // of a model that thinks
    bool decides_to_think = false;         // thinking "adaptive"
    std::vector<std::string_view> efforts; // that it takes, least first
};

} // namespace kiro::chat
