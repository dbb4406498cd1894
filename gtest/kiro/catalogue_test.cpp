#include "core/kiro/catalogue.h"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

using namespace kiro::kiro;

constexpr ReasoningFacts thinks{EffortField::output_config, 0x3e, Effort::xhigh, true, false, false, true};

std::vector<Model> two() {
    Model first{"Nova-9", "Nova 9", "The first.", 1300, {512'000, 96'000, thinks, false, true}};
    Model second{"org/nova:mini", "", "", 0, {}};
    return {first, second};
}

TEST(Catalogue, HoldsWhatWasWritten) {
    const std::string bytes = write_catalogue(two(), "ORG/NOVA:mini", 65536);
    const Catalogue catalogue(bytes);
    ASSERT_TRUE(catalogue.live());
    ASSERT_EQ(catalogue.size(), 2u);
    const Model model = catalogue[0];
    EXPECT_EQ(model.id, "Nova-9");
    EXPECT_EQ(model.name, "Nova 9");
    EXPECT_EQ(model.description, "The first.");
    EXPECT_EQ(model.rate, 1300u);
    EXPECT_EQ(model.facts, two()[0].facts);
    EXPECT_EQ(catalogue[1].id, "org/nova:mini");
    EXPECT_EQ(catalogue[1].facts, ModelFacts{});
    EXPECT_EQ(catalogue.default_model(), "org/nova:mini");
}

TEST(Catalogue, FindsWithoutRegardToCase) {
    const std::string bytes = write_catalogue(two(), "", 65536);
    const Catalogue catalogue(bytes);
    EXPECT_EQ(catalogue.find("nova-9")->id, "Nova-9");
    EXPECT_EQ(catalogue.find("nova-99"), std::nullopt);
    EXPECT_EQ(catalogue.find("claude-opus-5"), std::nullopt) << "a live list is the whole truth";
    EXPECT_EQ(catalogue.default_model(), "");
}

TEST(Catalogue, WithoutBytesIsTheBuiltInOne) {
    const Catalogue catalogue("");
    EXPECT_FALSE(catalogue.live());
    EXPECT_EQ(catalogue.size(), builtin_models().size());
    EXPECT_EQ(catalogue[0].id, "auto");
    EXPECT_EQ(catalogue.default_model(), "auto");
    EXPECT_TRUE(catalogue.find("Claude-Opus-5"));
}

TEST(Catalogue, NoDamageIsBelieved) {
    const std::string good = write_catalogue(two(), "nova-9", 65536);
    for (size_t n = 0; n < good.size(); n++)
        EXPECT_FALSE(Catalogue(std::string_view(good).substr(0, n)).live()) << n;
    EXPECT_FALSE(Catalogue(good + "x").live());
    // Whatever one byte becomes, nothing outside of the bytes is read.
    for (size_t i = 0; i < good.size(); i++) {
        for (unsigned char value : {0x00, 0x01, 0x7f, 0xff}) {
            const std::string bytes = [&] {
                std::string copy = good;
                copy[i] = static_cast<char>(value);
                return copy;
            }();
            const Catalogue catalogue(bytes);
            size_t total = 0;
            for (size_t m = 0; m < catalogue.size(); m++)
                total += catalogue[m].id.size() + catalogue[m].name.size() + catalogue[m].description.size();
            EXPECT_GT(total, 0u);
            (void)catalogue.default_model();
        }
    }
}

TEST(Catalogue, CutsTextsAtCharacters) {
    std::string long_text;
    for (int i = 0; i < 200; i++)
        long_text += "\xc3\xa4";
    const std::string odd = "x" + long_text;
    Model model{"m", long_text, odd, 0, {}};
    const std::string bytes = write_catalogue({&model, 1}, "", 65536);
    const Catalogue catalogue(bytes);
    EXPECT_EQ(catalogue[0].name, long_text.substr(0, 96));
    EXPECT_EQ(catalogue[0].description, odd.substr(0, 239));
}

TEST(Catalogue, LeavesOutWhatCannotBeServed) {
    const std::string too_long(129, 'a');
    const std::vector<Model> models{{"", "", "", 0, {}},       {"a b", "", "", 0, {}}, {"a\n", "", "", 0, {}},
                                    {too_long, "", "", 0, {}}, {"ok", "1", "", 0, {}}, {"OK", "2", "", 0, {}},
                                    {"ok-too", "", "", 0, {}}};
    const std::string bytes = write_catalogue(models, "", 65536);
    const Catalogue catalogue(bytes);
    ASSERT_EQ(catalogue.size(), 2u);
    EXPECT_EQ(catalogue[0].name, "1");
    EXPECT_EQ(catalogue[1].id, "ok-too");
    EXPECT_EQ(write_catalogue({models.data(), 4}, "", 65536), "");
}

TEST(Catalogue, NeverGrowsBeyondItsBound) {
    std::vector<std::string> ids;
    std::vector<Model> models;
    for (int i = 0; i < 2000; i++)
        ids.push_back("model-" + std::to_string(i));
    const std::string description(300, 'd');
    for (const auto &id : ids)
        models.push_back({id, id, description, 0, {}});
    for (size_t max : {size_t{0}, size_t{100}, size_t{1000}, size_t{65536}, size_t{1} << 20}) {
        const std::string bytes = write_catalogue(models, "", max);
        EXPECT_LE(bytes.size(), max);
        EXPECT_EQ(Catalogue(bytes).live(), !bytes.empty());
    }
    const std::string most = write_catalogue(models, "", 1 << 20);
    EXPECT_EQ(Catalogue(most).size(), 512u);
}

} // namespace
