// No allocation per token: counts what operator new is asked for while text streams.

#include "support/client_request.h"
#include "support/frames.h"
#include "support/reply_run.h"

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ALLOCATION_HOOKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ALLOCATION_HOOKS
#endif
#endif

#if defined(HAS_ALLOCATION_HOOKS)
// gcc has the function but not the header.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                                         void (*)(const volatile void *));
#endif

namespace {

std::atomic<bool> counting{false};
std::atomic<size_t> allocations{0};

void count() {
    if (counting) {
        ++allocations;
    }
}

} // namespace

#if defined(HAS_ALLOCATION_HOOKS)

// Operators of our own would blind the sanitizer to mismatched pairs; it has hooks instead.
namespace {
const int installed = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void *, size_t) { count(); }, [](const volatile void *) {});
}

#else

// Not inlined: gcc would take the pair malloc and delete for a mistake.
__attribute__((noinline)) void *operator new(std::size_t size) {
    count();
    if (void *p = std::malloc(size > 0 ? size : 1)) {
        return p;
    }
    throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void *p) noexcept {
    std::free(p);
}
__attribute__((noinline)) void operator delete(void *p, std::size_t) noexcept {
    std::free(p);
}

#endif

namespace {

// piece: how many bytes a feed has; request: what the reply answers, may be null. Returns the allocations
// over 1000 frames after a warm-up.
size_t measure(const test::Mode &mode, const std::string &frame, size_t piece,
               const kiro_request *request = nullptr) {
    std::string bytes;
    for (int i = 0; i < 1000; ++i) {
        bytes += frame;
    }
    const test::Reply reply = test::make_reply(test::reply_options(mode, request));
    size_t output = 0;
    const auto pass = [&] {
        for (size_t at = 0; at < bytes.size(); at += piece) {
            kiro_reply_feed(reply.get(), bytes.data() + at, std::min(piece, bytes.size() - at));
            if (mode.stream && kiro_reply_gate(reply.get()) == KIRO_GATE_COMMIT) {
                kiro_reply_commit(reply.get());
                kiro_str out;
                while (kiro_reply_next(reply.get(), &out) == KIRO_OK) {
                    output += out.len;
                }
            }
        }
    };
    pass();
    allocations = 0;
    counting = true;
    pass();
    counting = false;
    EXPECT_EQ(output > 0, mode.stream);
    return allocations;
}

TEST(ReplyAllocation, NoneForAToken) {
    const std::string text = test::text_event("token");
    const std::string split = test::text_event(R"(\ud83d)") + test::text_event(R"(\ude42)");
    const std::string thought = test::event("reasoningContentEvent", R"({"text":"token"})");
    for (const test::Mode &mode : {test::kModes[0], test::kModes[2]}) {
        for (const std::string &frame : {text, split, thought}) {
            EXPECT_EQ(measure(mode, frame, frame.size()), 0u) << mode.name;
            EXPECT_EQ(measure(mode, frame, 4096), 0u) << mode.name;
            EXPECT_EQ(measure(mode, frame, 7), 0u) << mode.name;
        }
    }
}

// The stages that most requests have, and those that few have.
TEST(ReplyAllocation, NoneForATokenBehindStages) {
    constexpr std::string_view requests[] = {
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"stop":["\ntokx","kenx"],)"
        R"("max_tokens":1000000})",
        R"({"model":"m","messages":[{"role":"user","content":"x"}],"stop":"END","max_tokens":1000000,)"
        R"("response_format":{"type":"json_object"},"reasoning_effort":"high"})",
    };
    for (std::string_view body : requests) {
        kiro::test::ClientRequest request;
        request.options.thinking = KIRO_THINKING_TAGS;
        ASSERT_TRUE(request.parse(body)) << request.failure.message;
        for (const std::string &frame :
             {test::text_event("token"), test::text_event(R"(\ntoken\n)"), test::text_event("``<tok\\n"),
              test::event("reasoningContentEvent", R"({"text":"token"})")}) {
            EXPECT_EQ(measure(test::kModes[0], frame, 4096, request.request.get()), 0u) << frame;
            EXPECT_EQ(measure(test::kModes[0], frame, 7, request.request.get()), 0u) << frame;
        }
    }
}

TEST(ReplyAllocation, CollectingGrowsSeldom) {
    // A stream of Responses repeats the text at its end.
    for (const test::Mode &mode : {test::kModes[1], test::kModes[3], test::kModes[4], test::kModes[5]}) {
        EXPECT_LE(measure(mode, test::text_event("token"), 4096), 2u) << mode.name;
    }
}

TEST(ReplyAllocation, TheCounterCounts) {
    allocations = 0;
    counting = true;
    std::string *p = new std::string(100, 'x');
    counting = false;
    delete p;
    EXPECT_GE(allocations, 1u);
}

} // namespace
