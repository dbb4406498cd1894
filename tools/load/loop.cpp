#include "loop.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <stdexcept>
#include <sys/epoll.h>
#include <unistd.h>

namespace load {

Micros now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return Micros{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

Loop::Loop() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) {
        throw std::runtime_error("epoll_create1 failed");
    }
}

Loop::~Loop() {
    clear();
    close(fd_);
}

void Loop::watch(int fd, Source &source, std::uint32_t events) {
    epoll_event e{.events = events, .data = {.ptr = &source}};
    if (epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &e) < 0) {
        throw std::runtime_error("epoll_ctl failed");
    }
}

void Loop::change(int fd, Source &source, std::uint32_t events) {
    epoll_event e{.events = events, .data = {.ptr = &source}};
    epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &e);
}

void Loop::wake(Source &source, Micros at) {
    forget(source);
    source.at_ = at;
    times_.emplace(at, &source);
}

void Loop::forget(Source &source) {
    if (source.at_ >= 0) {
        times_.erase({source.at_, &source});
        source.at_ = -1;
    }
}

Source &Loop::keep(std::unique_ptr<Source> source) {
    kept_.insert(source.get());
    return *source.release();
}

void Loop::drop(Source &source) {
    if (!source.dropped_) {
        source.dropped_ = true;
        forget(source);
        dropped_.push_back(&source);
    }
}

void Loop::bury() {
    for (Source *source : std::exchange(dropped_, {})) {
        kept_.erase(source);
        delete source;
    }
}

void Loop::clear() {
    dropped_.clear();
    for (Source *source : std::exchange(kept_, {})) {
        forget(*source);
        delete source;
    }
}

void Loop::run(Micros until) {
    std::array<epoll_event, 256> events;
    for (stopped_ = false; !stopped_;) {
        const Micros next = times_.empty() ? until : std::min(until, times_.begin()->first);
        const Micros wait = std::clamp<Micros>((next - now() + 999) / 1000, 0, 1000);
        const int n = epoll_wait(fd_, events.data(), events.size(), static_cast<int>(wait));
        if (n < 0 && errno != EINTR) {
            throw std::runtime_error("epoll_wait failed");
        }
        for (int i = 0; i < n; ++i) {
            auto *source = static_cast<Source *>(events[i].data.ptr);
            if (!source->dropped_) {
                source->ready(events[i].events);
            }
        }
        const Micros time = now();
        while (!times_.empty() && times_.begin()->first <= time) {
            Source &source = *times_.begin()->second;
            forget(source);
            source.due();
        }
        bury();
        if (time >= until) {
            return;
        }
    }
}

} // namespace load
