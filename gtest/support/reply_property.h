// A random answer, how it comes and what was asked for, all from the same bytes.
#pragma once

#include "support/reply_judge.h"

namespace test {

inline Delivery random_delivery(Choices &choices) {
    Delivery delivery;
    switch (choices.below(4)) {
    case 0:
        delivery.pieces = {1u << 30};
        break;
    case 1:
        delivery.pieces = {choices.below(40) + 1u};
        break;
    default:
        for (unsigned n = choices.below(12) + 1; n > 0; --n) {
            delivery.pieces.push_back(choices.below(300) + 1);
        }
    }
    delivery.pings = choices.one_in(2);
    delivery.broken = choices.one_in(8);
    delivery.incremental = choices.one_in(4);
    return delivery;
}

// How many clients got what; a test that sees nothing proves nothing.
inline void judge_random(std::string_view bytes, Tally *tally = nullptr) {
    Choices choices(bytes);
    const Delivery delivery = random_delivery(choices);
    const std::size_t asked = choices.below(std::size(kAskings));
    const std::size_t max_collect = choices.one_in(16) ? choices.below(2000) + 1 : 0;
    const unsigned cut = choices.one_in(8) ? choices.below(300) + 1 : 0;
    RandomReply reply = ReplyMaker(choices, asked_request(KIRO_API_OPENAI_CHAT, asked).names()).make();
    reply.bytes.resize(reply.bytes.size() - std::min<std::size_t>(cut, reply.bytes.size()));
    judge(reply.bytes, delivery, asked, cut == 0 && max_collect == 0 ? &reply : nullptr, max_collect, tally);
}

} // namespace test
