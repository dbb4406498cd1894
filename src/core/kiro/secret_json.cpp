#include "core/kiro/secret_json.h"

#include "core/json/writer.h"

namespace kiro::kiro {

std::string_view trim(std::string_view text) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    constexpr std::string_view white = " \t\r\n";
    if (text.substr(0, byte_order_mark.size()) == byte_order_mark) {
        text.remove_prefix(byte_order_mark.size());
    }
    const size_t first = text.find_first_not_of(white);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(white) - first + 1);
}

SecretJson::~SecretJson() {
    if (document_.string_buf) {
        // The bound that the document allocates for, without its padding.
        OPENSSL_cleanse(document_.string_buf.get(), 5 * document_.capacity() / 3);
    }
}

SecretJson::Status SecretJson::parse(std::string_view text) {
    text = trim(text);
    if (text.empty()) {
        return Status::empty;
    }
    padded_.reserve(text.size() + simdjson::SIMDJSON_PADDING);
    padded_.append(text);
    padded_.resize(text.size() + simdjson::SIMDJSON_PADDING);

    simdjson::dom::parser parser;
    simdjson::dom::element root;
    const auto error = parser.parse_into_document(document_, padded_.data(), text.size(), false).get(root);
    if (error == simdjson::MEMALLOC) {
        throw std::bad_alloc();
    }
    if (error) {
        return Status::invalid;
    }
    return root.get(root_) ? Status::not_object : Status::ok;
}

std::optional<simdjson::dom::element> SecretJson::find(std::string_view name) const {
    simdjson::dom::element element;
    if (root_.at_key(name).get(element) || element.is_null()) {
        return std::nullopt;
    }
    return element;
}

SecretJsonWriter::~SecretJsonWriter() {
    OPENSSL_cleanse(out_.data(), out_.size());
}

void SecretJsonWriter::begin_member(std::string_view name, size_t value_size) {
    constexpr size_t punctuation = 8;
    const size_t need = out_.size() + name.size() + value_size + punctuation;
    if (need > out_.capacity()) {
        std::string bigger;
        bigger.reserve(2 * need);
        bigger.append(out_);
        OPENSSL_cleanse(out_.data(), out_.size());
        out_.swap(bigger);
    }
    if (out_.size() > 1) {
        out_.push_back(',');
    }
    json::append_string(out_, name);
    out_.push_back(':');
}

void SecretJsonWriter::member(std::string_view name, std::string_view text) {
    constexpr size_t longest_escape = 6;
    if (!text.empty()) {
        begin_member(name, longest_escape * text.size());
        json::append_string(out_, text);
    }
}

void SecretJsonWriter::member(std::string_view name, int64_t number) {
    begin_member(name, 20);
    json::append_int(out_, number);
}

void SecretJsonWriter::member(std::string_view name, const std::vector<std::string> &texts) {
    if (texts.empty()) {
        return;
    }
    size_t size = 0;
    for (const std::string &text : texts) {
        size += 6 * text.size() + 3;
    }
    begin_member(name, size);
    char separator = '[';
    for (const std::string &text : texts) {
        out_.push_back(separator);
        json::append_string(out_, text);
        separator = ',';
    }
    out_.push_back(']');
}

Secret SecretJsonWriter::finish() {
    Secret object;
    object.reserve(out_.size() + 1);
    object.append(out_);
    object.push_back('}');
    return object;
}

} // namespace kiro::kiro
