#include "upstream.h"

#include "answer.h"
#include "http.h"
#include "net.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>
#include <map>
#include <random>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace load {
namespace {

using std::string_view;

constexpr std::size_t kFull = 16 * 1024; // of output that waits

struct Service {
    Loop loop{};
    std::map<std::string, std::unique_ptr<Answer>, std::less<>> answers;
    std::string closed;
    std::size_t connections = 0, streams = 0;
    std::uint64_t tokens = 0, bytes = 0;
    std::minstd_rand random{};

    const Answer &answer(string_view path) {
        constexpr string_view prefix = "/sse/";
        const auto form =
            path.substr(0, prefix.size()) == prefix ? path.substr(prefix.size()) : string_view();
        auto at = answers.find(form);
        if (at == answers.end()) {
            at = answers.emplace(form, make_answer(form)).first;
        }
        return *at->second;
    }
};

class Session : public Source {
public:
    Session(Service &service, int fd, SSL_CTX *tls) : service_(service), wire_(fd, tls, true) {
        ++service_.connections;
    }

    ~Session() override { --service_.connections; }

    int fd() const { return wire_.fd(); }

    void ready(std::uint32_t events) override {
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
            if (!read()) {
                gone();
                return;
            }
        }
        if ((events & EPOLLOUT) && !answer_) {
            flush();
        } else if (events & EPOLLOUT) {
            due();
        }
    }

    // The time of the next token, or room for more.
    void due() override {
        if (!answer_ || !flush() || !output_.empty()) {
            return;
        }
        const Micros time = now();
        if (time < next_) {
            service_.loop.wake(*this, next_);
            return;
        }
        std::string body;
        if (number_ == 0) {
            answer_->begin(body, plan_);
        }
        if (plan_.interval == 0) {
            while (number_ < plan_.tokens && output_.size() + body.size() < kFull) {
                for (std::uint64_t i = 0; i < plan_.batch && number_ < plan_.tokens; ++i) {
                    answer_->token(body, plan_, number_++);
                }
                chunk(body);
            }
        } else if (number_ < plan_.tokens) {
            answer_->token(body, plan_, number_++);
            chunk(body);
            next_ = std::max(next_ + static_cast<Micros>(plan_.interval), time);
        }
        if (number_ < plan_.tokens) {
            if (flush() && output_.empty()) {
                service_.loop.wake(*this, plan_.interval ? next_ : time);
            }
            return;
        }
        answer_->end(body, plan_);
        chunk(body);
        output_ += "0\r\n\r\n";
        finish();
        flush();
    }

private:
    void finish() {
        service_.tokens += number_;
        --service_.streams;
        answer_ = nullptr;
    }

    void gone() {
        if (answer_) {
            service_.closed += std::to_string(plan_.id) + ' ' + std::to_string(now()) + '\n';
            finish();
        }
        service_.loop.drop(*this);
    }

    void chunk(std::string &body) {
        std::array<char, 24> size{};
        const int n = std::snprintf(size.data(), size.size(), "%zx\r\n", body.size());
        output_.append(size.data(), static_cast<std::size_t>(n)).append(body).append("\r\n");
        body.clear();
    }

    bool read() {
        std::array<char, 16384> buffer;
        for (;;) {
            std::size_t n = 0;
            switch (wire_.read(buffer, n)) {
            case Io::closed:
                return false;
            case Io::again:
                return true;
            case Io::ok:
                input_.append(buffer.data(), n);
                if (!take()) {
                    return false;
                }
            }
        }
    }

    // One request at a time.
    bool take() {
        const std::size_t end = input_.find("\r\n\r\n");
        if (end == input_.npos) {
            return true;
        }
        const string_view head = string_view(input_).substr(0, end + 2);
        const string_view length = header(head, "content-length");
        std::size_t size = 0;
        std::from_chars(length.data(), length.data() + length.size(), size);
        if (input_.size() < end + 4 + size) {
            return true;
        }
        if (answer_ || head.find(' ') == head.npos) {
            return false;
        }
        string_view path = head.substr(head.find(' ') + 1);
        path = path.substr(0, path.find(' '));
        respond(head.substr(0, 4) == "GET ", path, string_view(input_).substr(end + 4, size));
        input_.erase(0, end + 4 + size);
        return true;
    }

    void respond(bool get, string_view path, string_view body) {
        const std::optional<Plan> plan = get ? std::nullopt : find_plan(body);
        if (!plan) {
            tell(path);
            return;
        }
        plan_ = *plan;
        number_ = 0;
        answer_ = &service_.answer(path);
        ++service_.streams;
        output_ += "HTTP/1.1 200 OK\r\nContent-Type: ";
        output_ += answer_->type();
        output_ += "\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n";
        // those that come together do not go on together
        next_ = now() + static_cast<Micros>(plan_.first) +
                static_cast<Micros>(plan_.interval ? service_.random() % plan_.interval : 0);
        due();
    }

    void tell(string_view path) {
        std::string text;
        if (path == "/closed") {
            text = std::exchange(service_.closed, {});
        } else {
            text = "connections " + std::to_string(service_.connections) + "\nstreams " +
                   std::to_string(service_.streams) + "\ntokens " + std::to_string(service_.tokens) +
                   "\nbytes " + std::to_string(service_.bytes) + '\n';
        }
        output_ +=
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(text.size()) +
            "\r\n\r\n" + text;
        flush();
    }

    // false: the other side is gone. What is left waits for room.
    bool flush() {
        std::size_t sent = 0;
        while (sent < output_.size()) {
            std::size_t n = 0;
            const Io io = wire_.write(string_view(output_).substr(sent), n);
            if (io == Io::closed) {
                gone();
                return false;
            }
            if (io == Io::again) {
                break;
            }
            sent += n;
        }
        service_.bytes += sent;
        output_.erase(0, sent);
        const bool blocked = !output_.empty();
        if (blocked != blocked_) {
            blocked_ = blocked;
            service_.loop.change(wire_.fd(), *this, EPOLLIN | EPOLLRDHUP | (blocked ? EPOLLOUT : 0u));
        }
        return true;
    }

    Service &service_;
    Wire wire_;
    std::string input_, output_;
    const Answer *answer_ = nullptr; // of the stream that is open
    Plan plan_;
    std::uint64_t number_ = 0;
    Micros next_ = 0;
    bool blocked_ = false;
};

class Listener : public Source {
public:
    Listener(Service &service, int fd, SSL_CTX *tls) : service_(service), fd_(fd), tls_(tls) {
        service.loop.watch(fd, *this, EPOLLIN);
    }

    ~Listener() override { close(fd_); }

    void ready(std::uint32_t) override {
        for (int fd; (fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
            auto session = std::make_unique<Session>(service_, fd, tls_);
            service_.loop.watch(fd, *session, EPOLLIN | EPOLLRDHUP);
            service_.loop.keep(std::move(session));
        }
    }

private:
    Service &service_;
    int fd_;
    SSL_CTX *tls_;
};

} // namespace

int run_upstream(const UpstreamOptions &options) {
    Service service;
    const int plain = listen_on(options.port);
    const Listener http(service, plain, nullptr);
    Tls tls{};
    std::unique_ptr<Listener> https;
    int secure = -1;
    if (!options.certificate.empty()) {
        tls = server_tls(options.certificate, options.key);
        secure = listen_on(options.tls_port);
        https = std::make_unique<Listener>(service, secure, tls.get());
    }
    const std::string ports =
        std::to_string(port_of(plain)) + ' ' + (secure < 0 ? "0" : std::to_string(port_of(secure))) + '\n';
    if (!options.ready.empty()) {
        std::FILE *file = std::fopen(options.ready.c_str(), "w");
        if (!file) {
            std::perror(options.ready.c_str());
            return 1;
        }
        std::fputs(ports.c_str(), file);
        std::fclose(file);
    } else {
        std::fputs(ports.c_str(), stdout);
        std::fflush(stdout);
    }
    service.loop.run(std::numeric_limits<Micros>::max());
    service.loop.clear();
    return 0;
}

} // namespace load
