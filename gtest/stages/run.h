// Runs a stage over a raw text in pieces, and all the ways to cut it.
#pragma once

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/chat/event.h"
#include "core/json/character.h"
#include "core/stages/sink.h"

namespace kiro::test {

// What came out: text as it is, reasoning in {braces}, calls as (name).
class Shown {
public:
    void operator()(const chat::Event &event) {
        if (const auto *text = std::get_if<chat::TextDelta>(&event)) {
            EXPECT_FALSE(text->text.empty());
            switch_to('t');
            out_.append(text->text);
        } else if (const auto *reasoning = std::get_if<chat::ReasoningDelta>(&event)) {
            EXPECT_FALSE(reasoning->text.empty());
            switch_to('r');
            out_.append(reasoning->text);
        } else if (const auto *call = std::get_if<chat::FinishedCall>(&event)) {
            switch_to('c');
            out_.append("(").append(call->name).append(")");
        }
    }

    std::string text() {
        switch_to('t');
        return out_;
    }

private:
    void switch_to(char kind) {
        if (kind_ != kind && kind_ == 'r')
            out_ += '}';
        if (kind_ != kind && kind == 'r')
            out_ += '{';
        kind_ = kind;
    }

    char kind_ = 't';
    std::string out_;
};

inline std::vector<std::string_view> characters(std::string_view raw) {
    std::vector<std::string_view> out;
    while (!raw.empty()) {
        const std::size_t size = json::first_character(raw).raw;
        out.push_back(raw.substr(0, size));
        raw.remove_prefix(size);
    }
    return out;
}

template <class Stage> void feed(Stage &stage, std::string_view text, Shown &shown) {
    if (text.empty())
        return;
    const std::string copy(text); // so that a view kept too long is noticed
    stage.take(chat::TextDelta{copy}, [&](const chat::Event &event) { shown(event); });
}

inline void call(auto &stage, Shown &shown) {
    stage.take(chat::FinishedCall{"id", "f", "{}", "{}"}, [&](const chat::Event &event) { shown(event); });
}

// Cuts raw behind the characters with a true bit.
template <class Make>
std::string run_cut(Make &&make, const std::vector<std::string_view> &pieces, const std::vector<bool> &cut) {
    auto stage = make();
    Shown shown;
    const char *start = pieces.empty() ? nullptr : pieces.front().data();
    for (std::size_t i = 0; i < pieces.size(); i++) {
        const char *end = pieces[i].data() + pieces[i].size();
        if (cut[i] || i + 1 == pieces.size()) {
            feed(stage, {start, static_cast<std::size_t>(end - start)}, shown);
            start = end;
        }
    }
    if constexpr (requires { stage.finish(shown); })
        stage.finish(shown);
    return shown.text();
}

// Every one and two cuts, every character alone, and many cuts by chance.
template <class Make> void expect_any_cut(Make &&make, std::string_view raw, std::string_view expected) {
    SCOPED_TRACE(raw);
    const std::vector<std::string_view> pieces = characters(raw);
    const std::size_t n = pieces.size();
    ASSERT_EQ(run_cut(make, pieces, std::vector<bool>(n)), expected);
    ASSERT_EQ(run_cut(make, pieces, std::vector<bool>(n, true)), expected);
    for (std::size_t i = 0; i < n; i++) {
        for (std::size_t j = i; j < n; j++) {
            std::vector<bool> cut(n);
            cut[i] = cut[j] = true;
            ASSERT_EQ(run_cut(make, pieces, cut), expected) << i << " " << j;
        }
    }
    std::mt19937 random(static_cast<unsigned>(n));
    for (int round = 0; round < 50; round++) {
        std::vector<bool> cut(n);
        for (std::size_t i = 0; i < n; i++)
            cut[i] = random() % 3 == 0;
        ASSERT_EQ(run_cut(make, pieces, cut), expected);
    }
}

} // namespace kiro::test
