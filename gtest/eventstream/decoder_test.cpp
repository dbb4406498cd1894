#include "core/eventstream/decoder.h"

#include "core/eventstream/crc32.h"
#include "core/eventstream/header.h"
#include "support/frames.h"
#include "support/vectors.h"

#include <gtest/gtest.h>
#include <random>

namespace {

using namespace kiro::eventstream;

std::string hex(std::string_view bytes) {
    std::string out;
    char two[3];
    for (unsigned char c : bytes) {
        snprintf(two, sizeof(two), "%02x", c);
        out += two;
    }
    return out;
}

test::VectorHeader describe(const Header &h) {
    switch (h.type) {
    case HeaderType::true_value:
        return {std::string(h.name), "bool", "true"};
    case HeaderType::false_value:
        return {std::string(h.name), "bool", "false"};
    case HeaderType::int8:
        return {std::string(h.name), "byte", std::to_string(h.integer())};
    case HeaderType::int16:
        return {std::string(h.name), "short", std::to_string(h.integer())};
    case HeaderType::int32:
        return {std::string(h.name), "int", std::to_string(h.integer())};
    case HeaderType::int64:
        return {std::string(h.name), "long", std::to_string(h.integer())};
    case HeaderType::timestamp:
        return {std::string(h.name), "timestamp", std::to_string(h.integer())};
    case HeaderType::bytes:
        return {std::string(h.name), "bytes", hex(h.value)};
    case HeaderType::string:
        return {std::string(h.name), "string", std::string(h.value)};
    case HeaderType::uuid:
        break;
    }
    std::string text = hex(h.value);
    for (size_t at : {8, 13, 18, 23}) {
        text.insert(at, "-");
    }
    return {std::string(h.name), "uuid", text};
}

struct Decoded {
    std::vector<test::VectorFrame> frames;
    size_t pending = 0;
    Fault fault = Fault::none;
};

// Every piece is a fresh allocation of its exact size, so that a sanitizer sees a read beyond it.
Decoded decode(std::string_view bytes, const std::vector<size_t> &plan) {
    Decoder decoder;
    Decoded result;
    size_t at = 0;
    for (size_t n : plan) {
        const std::vector<char> piece(bytes.begin() + at, bytes.begin() + at + n);
        at += n;
        decoder.feed({piece.data(), piece.size()});
        for (Frame frame; decoder.next(frame);) {
            test::VectorFrame got;
            got.payload = frame.payload;
            HeaderReader reader(frame.headers);
            for (Header header; reader.next(header);) {
                got.headers.push_back(describe(header));
            }
            EXPECT_FALSE(reader.malformed());
            result.frames.push_back(got);
        }
    }
    result.pending = decoder.pending();
    result.fault = decoder.fault();
    return result;
}

TEST(Crc32, CheckValueAndChaining) {
    EXPECT_EQ(crc32(0, "123456789", 9), 0xCBF43926u);
    std::string bytes(1000, '\0');
    std::mt19937 random(1);
    for (char &c : bytes) {
        c = static_cast<char>(random());
    }
    for (size_t n = 0; n < 100; ++n) {
        EXPECT_EQ(crc32(0, bytes.data() + n % 7, n), test::slow_crc32({bytes.data() + n % 7, n}));
    }
    const uint32_t whole = test::slow_crc32(bytes);
    for (size_t at = 0; at <= bytes.size(); at += 13) {
        EXPECT_EQ(crc32(crc32(0, bytes.data(), at), bytes.data() + at, bytes.size() - at), whole);
    }
}

TEST(Decoder, EveryVectorAtEverySplit) {
    size_t decoded = 0;
    for (const test::Vector &v : test::vectors()) {
        if (v.kind == "negative") {
            continue;
        }
        for (const auto &plan : test::plans(v)) {
            const Decoded got = decode(v.bytes, plan);
            ASSERT_EQ(got.fault, Fault::none) << v.name;
            ASSERT_EQ(got.frames.size(), v.frames.size()) << v.name;
            ASSERT_EQ(got.pending, v.expect ? v.expect->trailing : 0) << v.name;
            for (size_t i = 0; i < v.frames.size(); ++i) {
                ASSERT_EQ(got.frames[i].payload, v.frames[i].payload) << v.name;
                ASSERT_EQ(got.frames[i].headers.size(), v.frames[i].headers.size()) << v.name;
                for (size_t h = 0; h < v.frames[i].headers.size(); ++h) {
                    ASSERT_EQ(got.frames[i].headers[h].name, v.frames[i].headers[h].name) << v.name;
                    ASSERT_EQ(got.frames[i].headers[h].type, v.frames[i].headers[h].type) << v.name;
                    ASSERT_EQ(got.frames[i].headers[h].value, v.frames[i].headers[h].value) << v.name;
                }
            }
        }
        ++decoded;
    }
    EXPECT_EQ(decoded, 58u);
}

TEST(Decoder, NegativeVectorsAtEverySplit) {
    size_t seen = 0;
    for (const test::Vector &v : test::vectors()) {
        if (v.kind != "negative") {
            continue;
        }
        ++seen;
        for (const auto &plan : test::plans(v)) {
            const Decoded got = decode(v.bytes, plan);
            if (v.must_fail == "json") { // not the decoder's business
                ASSERT_EQ(got.fault, Fault::none);
            } else {
                ASSERT_STREQ(fault_name(got.fault), v.must_fail.c_str()) << v.name;
                ASSERT_TRUE(got.frames.empty());
            }
        }
    }
    EXPECT_EQ(seen, 6u);
}

TEST(Decoder, EveryFlippedBitIsFound) {
    const std::string &good = test::vector_named("f02_text_ascii").bytes;
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        const Decoded got = decode(bad, {bad.size()});
        EXPECT_NE(got.fault, Fault::none) << bit;
        EXPECT_TRUE(got.frames.empty()) << bit;
    }
}

TEST(Decoder, WholeFramesAreNotCopied) {
    const std::string bytes = test::text_event("a") + test::text_event("b");
    Decoder decoder;
    decoder.feed(bytes);
    Frame frame;
    ASSERT_TRUE(decoder.next(frame));
    EXPECT_GE(frame.payload.data(), bytes.data());
    EXPECT_LT(frame.payload.data(), bytes.data() + bytes.size());
    ASSERT_TRUE(decoder.next(frame));
    EXPECT_GE(frame.payload.data(), bytes.data());
    EXPECT_LT(frame.payload.data(), bytes.data() + bytes.size());
}

TEST(Decoder, MalformedHeaderBlocks) {
    const std::string blocks[] = {
        std::string("\x05name", 5),  // no type
        std::string("\x01x\x0a", 3), // unknown type
        std::string("\x01x\x07\x00\x05"
                    "ab",
                    7),                  // shorter than it says
        std::string("\x01x\x07\x00", 4), // half a length
        std::string("\x01x\x09"
                    "0123456789",
                    13),                         // short uuid
        std::string("\x01x\x04\x00\x00\x00", 6), // short int
        std::string("\x01x\x07\x00\x01\xff", 6), // not UTF-8
        std::string("\xff", 1),
        std::string("\x01", 1),
    };
    for (const std::string &block : blocks) {
        const std::string message = test::raw_message(block, "{}");
        EXPECT_EQ(decode(message, {message.size()}).fault, Fault::header) << hex(block);
        EXPECT_EQ(decode(message, std::vector<size_t>(message.size(), 1)).fault, Fault::header) << hex(block);
    }
}

TEST(Decoder, Limits) {
    const auto prelude = [](uint32_t total, uint32_t headers) {
        std::string p = test::big_endian(total, 4) + test::big_endian(headers, 4);
        return p + test::big_endian(test::slow_crc32(p), 4);
    };
    const auto fault = [](const std::string &bytes) { return decode(bytes, {bytes.size()}).fault; };
    EXPECT_EQ(fault(prelude(15, 0)), Fault::length);
    EXPECT_EQ(fault(prelude(16, 0)), Fault::none);
    EXPECT_EQ(fault(prelude(16, 1)), Fault::header_length);
    EXPECT_EQ(fault(prelude(kMaxMessage, 0)), Fault::none);
    EXPECT_EQ(fault(prelude(kMaxMessage + 1, 0)), Fault::length);
    EXPECT_EQ(fault(prelude(0xffffffff, 0)), Fault::length);
    EXPECT_EQ(fault(prelude(kMaxMessage, kMaxHeaders)), Fault::none);
    EXPECT_EQ(fault(prelude(kMaxMessage, kMaxHeaders + 1)), Fault::header_length);
    EXPECT_EQ(fault(prelude(100, 0xffffffff)), Fault::header_length);
}

TEST(Decoder, TheBiggestMessage) {
    const std::string message = test::raw_message("", std::string(kMaxMessage - 16, 'x'));
    const Decoded got = decode(message, {1, 11, 70000, message.size() - 70012});
    ASSERT_EQ(got.frames.size(), 1u);
    EXPECT_EQ(got.frames[0].payload.size(), kMaxMessage - 16);
    EXPECT_EQ(got.pending, 0u);
}

TEST(Decoder, NothingBehindAFault) {
    std::string bytes = test::text_event("a");
    const size_t first = bytes.size();
    bytes += test::text_event("b");
    bytes[first + 40] = static_cast<char>(bytes[first + 40] ^ 1);
    bytes += test::text_event("c");
    const Decoded got = decode(bytes, {first + 5, bytes.size() - first - 5});
    EXPECT_EQ(got.frames.size(), 1u);
    EXPECT_EQ(got.fault, Fault::message_crc);
}

} // namespace
