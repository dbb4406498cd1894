#include "core/kiro/catalogue.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace kiro::kiro {

namespace {

constexpr uint32_t magic = 0x4b4d4331; // "KMC1": changes with the layout
constexpr uint16_t no_default = std::numeric_limits<uint16_t>::max();

constexpr size_t max_id = 128;
constexpr size_t max_name = 96;
constexpr size_t max_description = 240;
constexpr size_t max_models = 512;

// The bytes: a head, a row a model, then the texts. Numbers are the machine's own.
struct Head {
    uint32_t magic;
    uint32_t size;
    uint16_t count;
    uint16_t default_row;
};

constexpr uint8_t adaptive_bit = 1, disabled_bit = 2, between_bit = 4, display_bit = 8, images_bit = 16,
                  documents_bit = 32;

struct Row {
    uint32_t text; // offset of id, name and description
    uint16_t id, name, description;
    uint8_t flags;
    uint8_t field;
    uint8_t efforts;
    uint8_t usual;
    uint16_t unused;
    uint32_t context, output, rate;
};

static_assert(std::has_unique_object_representations_v<Head> &&
              std::has_unique_object_representations_v<Row>);

template <class T> T load(std::string_view bytes, size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(value));
    return value;
}

template <class T> void store(std::string &bytes, size_t offset, const T &value) {
    std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

size_t row_offset(size_t index) {
    return sizeof(Head) + index * sizeof(Row);
}

bool is_sound(const Row &row, size_t first_text, size_t size) {
    const size_t length = size_t{row.id} + row.name + row.description;
    return row.text >= first_text && row.text <= size && length <= size - row.text && row.id > 0 &&
           row.field <= static_cast<uint8_t>(EffortField::reasoning) &&
           row.usual <= static_cast<uint8_t>(Effort::max);
}

std::string_view cut(std::string_view text, size_t max) {
    if (text.size() <= max)
        return text;
    while (max > 0 && (static_cast<unsigned char>(text[max]) & 0xC0) == 0x80)
        max--;
    return text.substr(0, max);
}

// Ids go into URLs, JSON and logs as they are.
bool is_id(std::string_view id) {
    return !id.empty() && id.size() <= max_id && std::all_of(id.begin(), id.end(), [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
    });
}

Row row_of(const Model &model, size_t text) {
    const ReasoningFacts &reasoning = model.facts.reasoning;
    Row row{};
    row.text = static_cast<uint32_t>(text);
    row.id = static_cast<uint16_t>(model.id.size());
    row.name = static_cast<uint16_t>(cut(model.name, max_name).size());
    row.description = static_cast<uint16_t>(cut(model.description, max_description).size());
    const auto flag = [](bool set, uint8_t bit) { return set ? bit : uint8_t{0}; };
    row.flags = static_cast<uint8_t>(
        flag(reasoning.adaptive, adaptive_bit) | flag(reasoning.disabled, disabled_bit) |
        flag(reasoning.between_tools, between_bit) | flag(reasoning.display, display_bit) |
        flag(model.facts.images, images_bit) | flag(model.facts.documents, documents_bit));
    row.field = static_cast<uint8_t>(reasoning.field);
    row.efforts = reasoning.efforts;
    row.usual = static_cast<uint8_t>(reasoning.usual);
    row.context = model.facts.context;
    row.output = model.facts.output;
    row.rate = model.rate;
    return row;
}

} // namespace

Catalogue::Catalogue(std::string_view bytes) {
    if (bytes.size() < sizeof(Head))
        return;
    const Head head = load<Head>(bytes, 0);
    const size_t first_text = row_offset(head.count);
    if (head.magic != magic || head.size != bytes.size() || head.count == 0 || first_text > bytes.size() ||
        (head.default_row != no_default && head.default_row >= head.count))
        return;
    for (size_t i = 0; i < head.count; i++) {
        if (!is_sound(load<Row>(bytes, row_offset(i)), first_text, bytes.size()))
            return;
    }
    bytes_ = bytes;
    count_ = head.count;
    default_ = head.default_row;
}

size_t Catalogue::size() const {
    return live() ? count_ : builtin_models().size();
}

Model Catalogue::operator[](size_t index) const {
    if (!live())
        return builtin_models()[index];
    const Row row = load<Row>(bytes_, row_offset(index));
    Model model;
    model.id = bytes_.substr(row.text, row.id);
    model.name = bytes_.substr(row.text + row.id, row.name);
    model.description = bytes_.substr(row.text + row.id + row.name, row.description);
    model.rate = row.rate;
    const auto flag = [&](uint8_t bit) { return (row.flags & bit) != 0; };
    model.facts.context = row.context;
    model.facts.output = row.output;
    model.facts.reasoning = {static_cast<EffortField>(row.field),
                             row.efforts,
                             static_cast<Effort>(row.usual),
                             flag(adaptive_bit),
                             flag(disabled_bit),
                             flag(between_bit),
                             flag(display_bit)};
    model.facts.images = flag(images_bit);
    model.facts.documents = flag(documents_bit);
    return model;
}

std::optional<Model> Catalogue::find(std::string_view id) const {
    if (!live()) {
        const Model *model = find_builtin_model(id);
        return model != nullptr ? std::optional(*model) : std::nullopt;
    }
    for (size_t i = 0; i < count_; i++) {
        const Row row = load<Row>(bytes_, row_offset(i));
        if (row.id == id.size() && equals_ignoring_case(bytes_.substr(row.text, row.id), id))
            return (*this)[i];
    }
    return std::nullopt;
}

std::string_view Catalogue::default_model() const {
    if (!live())
        return builtin_models().front().id;
    return default_ == no_default ? std::string_view() : (*this)[default_].id;
}

std::string write_catalogue(std::span<const Model> models, std::string_view default_model, size_t max) {
    std::vector<const Model *> taken;
    size_t size = sizeof(Head);
    for (const Model &model : models) {
        const size_t needed = sizeof(Row) + model.id.size() + cut(model.name, max_name).size() +
                              cut(model.description, max_description).size();
        const bool twice = std::any_of(taken.begin(), taken.end(), [&](const Model *other) {
            return equals_ignoring_case(other->id, model.id);
        });
        if (!is_id(model.id) || twice || taken.size() == max_models || needed > max - std::min(max, size))
            continue;
        taken.push_back(&model);
        size += needed;
    }
    if (taken.empty())
        return {};

    std::string out(row_offset(taken.size()), '\0');
    out.reserve(size);
    Head head{magic, static_cast<uint32_t>(size), static_cast<uint16_t>(taken.size()), no_default};
    for (size_t i = 0; i < taken.size(); i++) {
        const Model &model = *taken[i];
        if (head.default_row == no_default && equals_ignoring_case(model.id, default_model))
            head.default_row = static_cast<uint16_t>(i);
        store(out, row_offset(i), row_of(model, out.size()));
        out += model.id;
        out += cut(model.name, max_name);
        out += cut(model.description, max_description);
    }
    store(out, 0, head);
    return out;
}

} // namespace kiro::kiro
