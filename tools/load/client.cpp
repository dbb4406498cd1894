#include "client.h"

#include "http.h"
#include "net.h"
#include "report.h"
#include "request.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <sys/epoll.h>

namespace load {
namespace {

using std::string_view;

constexpr Micros micros(double seconds) {
    return static_cast<Micros>(seconds * 1e6);
}

class Slot;

struct Run {
    const ClientOptions &options;
    const Dialect &dialect;
    Target target;
    Tls tls{};
    Loop loop{};
    Measured measured{};
    std::minstd_rand random{};
    Micros until = 0;                             // no new calls then
    std::size_t begun = 0, open = 0, waiting = 0; // calls; slots that will begin one
    std::vector<Slot *> stalled{};
};

// One of the concurrent streams: call after call.
class Slot : public Source {
public:
    explicit Slot(Run &run) : run_(run) {}

    void due() override {
        if (wire_) {
            watch(EPOLLIN); // reads on
        } else {
            call();
        }
    }

    void ready(std::uint32_t events) override {
        if ((events & (EPOLLOUT | EPOLLIN)) && !output_.empty()) {
            flush();
        }
        if (events & ~static_cast<std::uint32_t>(EPOLLOUT)) {
            read();
        }
    }

    bool open() const { return wire_ != nullptr; }
    void give_up() { end("not ended in time"); }

private:
    void call() {
        const ClientOptions &o = run_.options;
        plan_ = o.plan;
        --run_.waiting;
        plan_.id = run_.begun++;
        if (o.most_tokens > plan_.tokens) {
            plan_.tokens += run_.random() % (o.most_tokens - plan_.tokens + 1);
        }
        expected_ = 0;
        resumed_ = false;
        reader_ = {};
        scanner_ = {};
        terminal_ = WordFinder(run_.dialect.terminal);
        ++run_.open;
        began_ = now();
        last_ = began_;
        const int fd = connect_to(run_.target.port, o.receive_buffer);
        if (fd < 0) {
            end("no connection");
            return;
        }
        wire_ = std::make_unique<Wire>(fd, run_.tls.get(), false);
        output_ = http1_request(run_.target.path, request_body(run_.dialect, plan_));
        run_.loop.watch(fd, *this, EPOLLIN | EPOLLOUT);
    }

    void watch(std::uint32_t events) { run_.loop.change(wire_->fd(), *this, events); }

    void flush() {
        std::size_t n = 0;
        const Io io = wire_->write(output_, n);
        if (io == Io::closed) {
            end("closed before the request was sent");
        } else if (io == Io::ok && output_.erase(0, n).empty()) {
            watch(EPOLLIN);
        }
    }

    void read() {
        std::array<char, 65536> buffer;
        while (wire_) {
            std::size_t n = 0;
            const Io io = wire_->read(buffer, n);
            if (io == Io::again) {
                return;
            }
            if (io == Io::closed) {
                end("the connection broke");
                return;
            }
            const Micros time = now();
            const auto state =
                reader_.feed({buffer.data(), n}, [&](string_view piece) { take(piece, time); });
            if (state == ResponseReader::State::done || state == ResponseReader::State::bad) {
                judge();
                return;
            }
            const bool drained = n < buffer.size() && !run_.tls; // what comes later wakes us
            if (run_.options.stall > 0 && !resumed_ && expected_ >= run_.options.stall_after) {
                stall(time);
                return;
            }
            if (drained) {
                return;
            }
        }
    }

    void take(string_view piece, Micros time) {
        terminal_.feed(piece);
        scanner_.feed(piece, [&](Micros sent, std::uint64_t number) {
            if (number != expected_) {
                return; // repeated in the last events of a dialect, or lost: then the count tells
            }
            Measured &m = run_.measured;
            m.late.push_back(static_cast<std::uint32_t>(std::max<Micros>(time - sent, 0)));
            if (expected_++ == 0) {
                m.first.push_back(static_cast<std::uint32_t>(time - began_));
            } else {
                m.gap = std::max(m.gap, static_cast<std::uint32_t>(time - last_));
            }
            last_ = time;
        });
    }

    void stall(Micros time) {
        resumed_ = true;
        watch(0);
        run_.stalled.push_back(this);
        if (run_.stalled.size() != run_.options.streams) {
            return;
        }
        for (Slot *slot : run_.stalled) {
            run_.loop.wake(*slot, time + micros(run_.options.stall));
        }
        if (std::FILE *file = std::fopen(run_.options.stalled.c_str(), "w")) {
            std::fclose(file);
        }
    }

    void judge() {
        if (reader_.state() == ResponseReader::State::bad) {
            end("no HTTP");
        } else if (reader_.status() != 200) {
            end("status " + std::to_string(reader_.status()));
        } else if (expected_ != plan_.tokens) {
            end("tokens are missing");
        } else if (!terminal_.found()) {
            end("no terminal event");
        } else {
            end("");
        }
    }

    void end(const std::string &why) {
        run_.loop.forget(*this);
        wire_.reset();
        --run_.open;
        if (why.empty()) {
            ++run_.measured.calls;
        } else {
            ++run_.measured.broken[why];
        }
        const Micros time = now();
        run_.measured.end = time;
        const bool more =
            time < run_.until && (run_.options.calls == 0 || run_.begun + run_.waiting < run_.options.calls);
        if (more) {
            ++run_.waiting;
            run_.loop.wake(*this, time);
        } else if (run_.open == 0 && run_.waiting == 0) {
            run_.loop.stop();
        }
    }

    Run &run_;
    std::unique_ptr<Wire> wire_;
    Plan plan_;
    std::string output_;
    ResponseReader reader_;
    TokenScanner scanner_;
    WordFinder terminal_{""};
    std::uint64_t expected_ = 0;
    Micros began_ = 0, last_ = 0;
    bool resumed_ = false;
};

} // namespace

int run_client(const ClientOptions &options) {
    const Dialect *dialect = find_dialect(options.dialect);
    if (!dialect) {
        throw std::invalid_argument("no dialect " + options.dialect);
    }
    Run run{.options = options, .dialect = *dialect, .target = parse_target(options.url)};
    if (run.target.tls) {
        run.tls = client_tls();
    }
    const Micros begin = now();
    run.measured.begin = begin;
    run.measured.end = begin;
    run.until = begin + micros(options.seconds);
    if (options.seconds == 0 && options.calls > 0) {
        run.until = begin + micros(options.limit);
    }
    std::vector<std::unique_ptr<Slot>> slots;
    for (std::size_t i = 0; i < options.streams; ++i) {
        slots.push_back(std::make_unique<Slot>(run));
        const double share = static_cast<double>(i) / static_cast<double>(options.streams);
        ++run.waiting;
        run.loop.wake(*slots.back(), begin + micros(options.ramp * share));
    }
    run.loop.run(begin + micros(options.limit));
    for (const auto &slot : slots) {
        if (slot->open()) {
            run.until = 0;
            slot->give_up();
        }
    }
    if (options.header) {
        print_header();
    }
    const std::size_t broken = run.measured.broken.size();
    print_row(options.label, options.streams, run.measured);
    return broken == 0 && run.measured.calls > 0 ? 0 : 1;
}

} // namespace load
