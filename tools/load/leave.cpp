#include "leave.h"

#include "http.h"
#include "net.h"
#include "plan.h"
#include "report.h"
#include "request.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <random>
#include <stdexcept>
#include <sys/epoll.h>
#include <unordered_map>

namespace load {
namespace {

using std::string_view;

enum class How : std::uint8_t { close, reset, cancel };

constexpr std::array<string_view, 3> kHow{"close", "reset", "HTTP/2 cancel"};

struct Scene {
    string_view name;
    Plan plan;
    std::uint64_t tokens; // that the client sees before it leaves
    Micros wait;          // and then it stays so long and up to twice that
    bool deaf = false;
};

// Nothing ends by itself while it is looked at.
constexpr std::array<Scene, 4> kScenes{{
    {"in the stream", {.tokens = 100'000, .interval = 10'000}, 3, 20'000},
    {"before the first token", {.first = 60'000'000}, 0, 100'000},
    {"in a tool call", {.tokens = 100'000, .interval = 10'000, .tool = 1}, 0, 150'000},
    {"blocked", {.tokens = 1'000'000'000, .pad = 1000}, 1, 300'000, true},
}};

class Leaver;

struct Stage {
    const LeaveOptions &options;
    const Dialect &dialect;
    Target target;
    Loop loop{};
    std::minstd_rand random{};
    const Scene *scene = nullptr;
    How how = How::close;
    std::size_t left = 0; // clients that have not left yet
    std::size_t begun = 0;
    std::uint64_t id = 0;
    std::unordered_map<std::uint64_t, Micros> times{}; // when they left
    std::size_t broken = 0;
};

class Leaver : public Source {
public:
    explicit Leaver(Stage &stage) : stage_(stage), plan_(stage.scene->plan) {
        plan_.id = ++stage.id;
        const bool h2 = stage.how == How::cancel;
        const int fd =
            connect_to(h2 ? stage.options.h2_port : stage.target.port, stage.scene->deaf ? 32768 : 0);
        if (fd < 0) {
            throw std::runtime_error("no connection to nginx");
        }
        wire_ = std::make_unique<Wire>(fd, nullptr, false);
        const std::string path = stage.target.path + std::string(stage.dialect.path);
        const std::string body = request_body(stage.dialect, plan_);
        output_ = h2 ? http2_request(path, body) : http1_request(path, body);
        stage.loop.watch(fd, *this, EPOLLIN | EPOLLOUT);
    }

    void ready(std::uint32_t events) override {
        if ((events & EPOLLOUT) && !output_.empty()) {
            std::size_t n = 0;
            if (wire_->write(output_, n) == Io::ok && output_.erase(0, n).empty()) {
                watch(EPOLLIN);
                if (stage_.scene->tokens == 0) {
                    stay();
                }
            }
        }
        if (events & EPOLLIN) {
            read();
        }
    }

    void due() override {
        stage_.times[plan_.id] = now();
        if (stage_.how == How::cancel) {
            std::size_t n = 0;
            wire_->write(http2_cancel(), n); // the connection stays
        } else {
            wire_->leave(stage_.how == How::reset);
        }
        gone_ = true;
        next();
    }

    static void more(Stage &stage) {
        if (stage.begun < stage.options.count) {
            ++stage.begun;
            stage.loop.keep(std::make_unique<Leaver>(stage));
        }
    }

private:
    void watch(std::uint32_t events) { stage_.loop.change(wire_->fd(), *this, events); }

    void stay() {
        const Micros wait = stage_.scene->wait;
        stage_.loop.wake(*this, now() + wait + stage_.random() % wait);
    }

    void read() {
        std::array<char, 4096> buffer;
        std::size_t n = 0;
        const Io io = wire_->read(buffer, n);
        if (io == Io::closed) {
            if (!gone_) {
                ++stage_.broken;
                gone_ = true;
                next();
            }
            watch(0);
            return;
        }
        if (io == Io::again || gone_ || staying_) {
            return;
        }
        scanner_.feed({buffer.data(), n}, [&](Micros, std::uint64_t) { ++seen_; });
        if (stage_.scene->tokens > 0 && seen_ >= stage_.scene->tokens) {
            staying_ = true;
            if (stage_.scene->deaf) {
                watch(0);
            }
            stay();
        }
    }

    void next() {
        stage_.loop.forget(*this);
        more(stage_);
        if (--stage_.left == 0) {
            stage_.loop.stop();
        }
    }

    Stage &stage_;
    Plan plan_;
    std::unique_ptr<Wire> wire_;
    std::string output_;
    TokenScanner scanner_;
    std::uint64_t seen_ = 0;
    bool staying_ = false, gone_ = false;
};

// Asks the upstream, on a connection of its own.
std::string ask(std::uint16_t port, const std::string &path) {
    struct Call : Source {
        Loop *loop = nullptr;
        std::unique_ptr<Wire> wire;
        std::string request, text;
        ResponseReader reader;
        void ready(std::uint32_t events) override {
            std::size_t n = 0;
            if ((events & EPOLLOUT) && !request.empty() && wire->write(request, n) == Io::ok) {
                request.erase(0, n);
                loop->change(wire->fd(), *this, EPOLLIN);
            }
            std::array<char, 65536> buffer;
            while (events & EPOLLIN) {
                const Io io = wire->read(buffer, n);
                if (io == Io::again) {
                    return;
                }
                if (io == Io::closed || reader.feed({buffer.data(), n}, [&](string_view piece) {
                        text += piece;
                    }) >= ResponseReader::State::done) {
                    loop->stop();
                    return;
                }
            }
        }
    };
    Loop loop{};
    Call call;
    call.loop = &loop;
    const int fd = connect_to(port, 0);
    call.wire = std::make_unique<Wire>(fd, nullptr, false);
    call.request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n";
    loop.watch(fd, call, EPOLLIN | EPOLLOUT);
    loop.run(now() + 5'000'000);
    return call.text;
}

void take_closed(std::string_view text, Stage &stage, std::vector<std::uint32_t> &delays) {
    while (!text.empty()) {
        const std::string line(text.substr(0, text.find('\n')));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        unsigned long long id = 0;
        long long time = 0;
        if (std::sscanf(line.c_str(), "%llu %lld", &id, &time) == 2) {
            const auto at = stage.times.find(id);
            if (at != stage.times.end()) {
                delays.push_back(static_cast<std::uint32_t>(std::max<Micros>(time - at->second, 0)));
                stage.times.erase(at);
            }
        }
    }
}

} // namespace

int run_leave(const LeaveOptions &options) {
    const Dialect *dialect = find_dialect(options.dialect);
    if (!dialect) {
        throw std::invalid_argument("no dialect " + options.dialect);
    }
    Stage stage{.options = options, .dialect = *dialect, .target = parse_target(options.url)};
    stage.id = static_cast<std::uint64_t>(now()); // of no earlier run
    std::printf("%-24s %-14s %6s %7s %7s %8s %8s %8s\n", "upstream closed, ms", "", "left", "broken",
                "unseen", "p50", "p99", "max");
    bool good = true;
    for (const Scene &scene : kScenes) {
        for (const How how : {How::close, How::reset, How::cancel}) {
            if (how == How::cancel && options.h2_port == 0) {
                continue;
            }
            stage.scene = &scene;
            stage.how = how;
            stage.left = options.count;
            stage.begun = 0;
            stage.broken = 0;
            stage.times.clear();
            for (std::size_t i = 0; i < options.at_once; ++i) {
                Leaver::more(stage);
            }
            stage.loop.run(now() + 120'000'000);
            std::vector<std::uint32_t> delays;
            const std::size_t left = stage.times.size();
            // a request that nginx had not passed on yet is never closed: what counts is that none is open
            bool open = true;
            for (int i = 0; i < 50 && open; ++i) {
                stage.loop.run(now() + 100'000);
                take_closed(ask(options.upstream, "/closed"), stage, delays);
                open = ask(options.upstream, "/state").find("streams 0\n") == std::string::npos;
            }
            stage.loop.clear();
            std::sort(delays.begin(), delays.end());
            std::printf("%-24s %-14s %6zu %7zu %7zu %8.2f %8.2f %8.2f\n", std::string(scene.name).c_str(),
                        std::string(kHow[static_cast<std::size_t>(how)]).c_str(), left, stage.broken,
                        stage.times.size(), percentile(delays, 0.5) / 1000.0,
                        percentile(delays, 0.99) / 1000.0, percentile(delays, 1) / 1000.0);
            std::fflush(stdout);
            good = good && stage.broken == 0 && !open && left == options.count;
        }
    }
    return good ? 0 : 1;
}

} // namespace load
