// The bytes of an answer: frames of the service, or what the gateway makes of them.
#pragma once

#include "plan.h"

#include <memory>
#include <string>
#include <string_view>

namespace load {

// A form that answers have.
class Answer {
public:
    virtual ~Answer() = default;
    virtual std::string_view type() const = 0;
    virtual void begin(std::string &out, const Plan &plan) const = 0;
    virtual void token(std::string &out, const Plan &plan, std::uint64_t number) const = 0;
    virtual void end(std::string &out, const Plan &plan) const = 0;
};

// "openai", "anthropic", "responses": as SSE; everything else: as frames.
std::unique_ptr<Answer> make_answer(std::string_view form);

} // namespace load
