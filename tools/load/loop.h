// An epoll loop with timers.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <utility>
#include <vector>

namespace load {

using Micros = std::int64_t; // of CLOCK_MONOTONIC, which all processes of a machine share

Micros now();

class Loop;

// Something that waits for its descriptor, its time, or both.
class Source {
public:
    virtual ~Source() = default;
    virtual void ready(std::uint32_t events) = 0; // EPOLL*
    virtual void due() {}

private:
    friend class Loop;
    Micros at_ = -1;
    bool dropped_ = false;
};

class Loop {
public:
    Loop();
    ~Loop();
    Loop(const Loop &) = delete;
    Loop &operator=(const Loop &) = delete;

    void watch(int fd, Source &source, std::uint32_t events);
    void change(int fd, Source &source, std::uint32_t events);

    void wake(Source &source, Micros at); // once; replaces what was set
    void forget(Source &source);

    Source &keep(std::unique_ptr<Source> source);
    void drop(Source &source); // deleted when its turn is over
    void clear();              // deletes all

    void run(Micros until); // until then, or until stop()
    void stop() { stopped_ = true; }

private:
    void bury();

    int fd_;
    bool stopped_ = false;
    std::set<std::pair<Micros, Source *>> times_;
    std::set<Source *> kept_;
    std::vector<Source *> dropped_;
};

} // namespace load
