// The C ABI of kiro/reply.h.

#include "kiro/reply.h"

#include "core/chat/reply_context.h"
#include "core/turn/turn.h"
#include "core/turn/writer.h"

#include <string>
#include <string_view>

struct kiro_reply {
    kiro::turn::Turn turn;
};

namespace {

using std::string_view;
namespace chat = kiro::chat;

string_view view(kiro_str text) noexcept {
    return {text.data, text.len};
}

// Runs one call of the ABI; allocation is all that can go wrong inside.
template <class Body> kiro_status guarded(Body &&body) noexcept {
    try {
        body();
        return KIRO_OK;
    } catch (...) {
        return KIRO_NOMEM;
    }
}

} // namespace

extern "C" {

kiro_reply *kiro_reply_create(const kiro_reply_options *opts) {
    try {
        const std::string model = kiro::turn::shown_model(view(opts->model));
        const chat::ReplyHead head{.id = view(opts->id),
                                   .model = model,
                                   .created = opts->created,
                                   .request_id = view(opts->request_id)};
        const chat::ReplyContext context =
            opts->request != nullptr ? chat::reply_context(*opts->request) : chat::ReplyContext{};
        return new kiro_reply{{*opts, head, context}};
    } catch (...) {
        return nullptr;
    }
}

void kiro_reply_free(kiro_reply *rep) {
    delete rep;
}

void kiro_reply_time(kiro_reply *rep, int64_t now) {
    rep->turn.set_time(now);
}

kiro_status kiro_reply_feed(kiro_reply *rep, const char *data, size_t n) {
    return guarded([&] { rep->turn.feed({data, n}); });
}

kiro_status kiro_reply_eof(kiro_reply *rep) {
    return guarded([&] { rep->turn.eof(); });
}

kiro_status kiro_reply_abort(kiro_reply *rep, const kiro_failure *f) {
    return guarded([&] { rep->turn.abort(*f); });
}

kiro_status kiro_reply_settle(kiro_reply *rep, const kiro_failure *f) {
    bool settled = false;
    const kiro_status status = guarded([&] { settled = rep->turn.settle(*f); });
    return status != KIRO_OK || settled ? status : KIRO_ERROR;
}

kiro_status kiro_reply_give_up(kiro_reply *rep, const kiro_failure *f) {
    return guarded([&] { rep->turn.give_up(*f); });
}

kiro_gate kiro_reply_gate(const kiro_reply *rep) {
    return rep->turn.gate();
}

void kiro_reply_commit(kiro_reply *rep) {
    rep->turn.commit();
}

const kiro_failure *kiro_reply_failure(const kiro_reply *rep) {
    return &rep->turn.failure();
}

kiro_status kiro_reply_next(kiro_reply *rep, kiro_str *piece) {
    string_view text;
    if (!rep->turn.next(text)) {
        *piece = {nullptr, 0};
        return KIRO_AGAIN;
    }
    *piece = {text.data(), text.size()};
    return KIRO_OK;
}

kiro_status kiro_reply_ping(kiro_reply *rep) {
    return guarded([&] { rep->turn.ping(); });
}

int kiro_reply_done(const kiro_reply *rep) {
    return rep->turn.done();
}

int kiro_reply_whole(const kiro_reply *rep) {
    return rep->turn.whole();
}

void kiro_reply_get_info(const kiro_reply *rep, kiro_reply_info *info) {
    *info = rep->turn.info();
}

} // extern "C"
