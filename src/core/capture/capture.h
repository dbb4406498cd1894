// What one request leaves, in memory.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/capture/needles.h"
#include "kiro/capture.h"

namespace kiro::capture {

// The first bytes of something, up to a limit.
class Excerpt {
public:
    void add(std::string_view piece, size_t limit);
    void lost() noexcept { incomplete_ = true; }

    bool empty() const { return text_.empty() && left_out_ == 0 && !incomplete_; }
    size_t size() const { return text_.size(); }
    bool operator==(const Excerpt &) const = default;

    // Masked, with a mark at the end if something is missing.
    std::string take(const Needles &needles, size_t limit) &&;

private:
    std::string text_;
    size_t left_out_ = 0;
    bool incomplete_ = false; // no memory
};

struct File {
    std::string name;
    std::string text;
};

class Capture {
public:
    explicit Capture(size_t limit) : limit_(limit) {}

    void add(kiro_capture_part part, std::string_view piece);
    void lost(kiro_capture_part part) noexcept;
    void begin_attempt(unsigned number);
    void set_error(std::string json) { error_ = std::move(json); }
    // A secret that there was no memory for leaves nothing to be written.
    template <class Add> void add_secrets(Add &&add) noexcept {
        try {
            add(secrets_);
        } catch (const std::exception &) {
            unsafe_ = true;
        }
    }
    size_t size() const;

    // The masked files. What is in memory is gone then. Throws.
    std::vector<File> take_files();

private:
    struct Attempt {
        unsigned number = 0;
        Excerpt request; // empty: the next one has it
        Excerpt raw;
    };

    Excerpt *part_of(kiro_capture_part part) noexcept;
    void share_request();

    size_t limit_;
    SecretList secrets_;
    Excerpt request_;
    Excerpt client_;
    Excerpt log_;
    std::vector<Attempt> attempts_;
    std::string error_;
    bool unsafe_ = false;
};

// error_info.json
std::string error_json(const kiro_capture_outcome &outcome);

} // namespace kiro::capture
