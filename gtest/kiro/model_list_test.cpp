#include "kiro/models.h"

#include <gtest/gtest.h>
#include <memory>
#include <string>

#include "core/json/validate.h"
#include "core/kiro/catalogue.h"

namespace {

using namespace kiro::kiro;

kiro_str str(std::string_view s) {
    return {s.data(), s.size()};
}

struct Free {
    void operator()(kiro_models *models) const { kiro_models_free(models); }
};

class List {
public:
    kiro_failure failure{};
    std::unique_ptr<kiro_models, Free> models{kiro_models_create()};

    kiro_status page(std::string_view body, int status = 200, std::string_view type = {}) {
        return kiro_models_page(models.get(), status, str(type), str(body), &failure);
    }
    std::string next() const {
        const kiro_str s = kiro_models_next(models.get());
        return {s.data, s.len};
    }
    std::string catalogue() {
        kiro_str s{};
        EXPECT_EQ(kiro_models_catalogue(models.get(), &s, &failure), KIRO_OK) << failure.message;
        return {s.data, s.len};
    }
};

std::string request(const kiro_models_query &query, kiro_failure *f) {
    std::string out(kiro_models_request(&query, nullptr, 0, f), '\0');
    EXPECT_EQ(kiro_models_request(&query, out.data(), out.size(), f), out.size());
    return out;
}

kiro_models_query query_of(kiro_login login) {
    kiro_models_query query{};
    query.login = login;
    query.token = str("secret-token");
    query.profile_arn = str("arn:aws:x");
    query.host = str("management.example");
    query.user_agent = str("ngx_kiro/1");
    return query;
}

TEST(ModelsRequest, OfAnOAuthLogin) {
    kiro_failure f;
    EXPECT_EQ(request(query_of(KIRO_LOGIN_SOCIAL), &f),
              "POST / HTTP/1.1\r\nHost: management.example\r\nUser-Agent: ngx_kiro/1\r\n"
              "Authorization: Bearer secret-token\r\nContent-Type: application/x-amz-json-1.0\r\n"
              "X-Amz-Target: KiroControlPlaneBearerService.ListAvailableModels\r\n"
              "x-amzn-codewhisperer-optout: true\r\nAccept: application/json\r\nContent-Length: 47\r\n"
              "Connection: close\r\n\r\n"
              R"({"origin":"AI_EDITOR","profileArn":"arn:aws:x"})");
}

TEST(ModelsRequest, LoginsDifferInTokenTypeAndArn) {
    kiro_failure f;
    const std::string key = request(query_of(KIRO_LOGIN_API_KEY), &f);
    EXPECT_NE(key.find("\r\nTokenType: API_KEY\r\n"), std::string::npos);
    EXPECT_EQ(key.find("arn:aws"), std::string::npos);
    const std::string external = request(query_of(KIRO_LOGIN_EXTERNAL), &f);
    EXPECT_NE(external.find("\r\nTokenType: EXTERNAL_IDP\r\n"), std::string::npos);
    EXPECT_NE(external.find("arn:aws"), std::string::npos);
    EXPECT_EQ(request(query_of(KIRO_LOGIN_OIDC), &f).find("TokenType"), std::string::npos);
}

TEST(ModelsRequest, PrefixPageAndWire) {
    kiro_failure f;
    for (const char *prefix : {"/kiro", "/kiro/"}) {
        kiro_models_query query = query_of(KIRO_LOGIN_API_KEY);
        query.prefix = str(prefix);
        query.wire = KIRO_WIRE_V2;
        query.next = str(R"(a\"b)");
        const std::string text = request(query, &f);
        EXPECT_TRUE(text.starts_with("POST /kiro/ HTTP/1.1\r\n")) << text;
        EXPECT_TRUE(text.ends_with(R"({"origin":"KIRO_CLI","nextToken":"a\"b"})")) << text;
    }
}

TEST(ModelsRequest, NothingGetsIntoTheHeaders) {
    kiro_failure f;
    kiro_models_query query = query_of(KIRO_LOGIN_SOCIAL);
    query.token = str("a\r\nX: y");
    EXPECT_EQ(kiro_models_request(&query, nullptr, 0, &f), 0u);
    EXPECT_EQ(f.kind, KIRO_FAIL_LOGIN_REQUIRED);
    query = query_of(KIRO_LOGIN_SOCIAL);
    query.user_agent = str("a\r\nX: y");
    EXPECT_EQ(kiro_models_request(&query, nullptr, 0, &f), 0u);
    EXPECT_EQ(f.kind, KIRO_FAIL_INTERNAL);
}

const char *const schema = R"({"type":"object","properties":{
  "thinking":{"type":"object","properties":{"type":{"type":"string","enum":["adaptive","between_tools"]},
              "display":{"enum":["summarized","omitted"]}}},
  "output_config":{"type":"object","properties":{"effort":{"enum":["low","medium","turbo","max"],"default":"max"}}},
  "max_tokens":{"type":"integer"}},"additionalProperties":false})";

TEST(ModelList, ReadsEveryMember) {
    List list;
    ASSERT_EQ(
        list.page(
            R"({"defaultModel":{"modelId":"nova-9"},"models":[{"modelId":"Nova-9","modelName":"Nova \u00e4",)"
            R"("description":"line\none","rateMultiplier":0.25,"rateUnit":"Credit","tokenLimits":)"
            R"({"maxInputTokens":512000,"maxOutputTokens":96000},"supportedInputTypes":["TEXT","PDF"],)"
            R"("additionalModelRequestFieldsSchema":)" +
            std::string(schema) + R"(,"futureMember":{"a":[1,{"b":null}]}}],"nextToken":null})"),
        KIRO_OK)
        << list.failure.message;
    const std::string bytes = list.catalogue();
    const Catalogue catalogue(bytes);
    ASSERT_EQ(catalogue.size(), 1u);
    const Model model = catalogue[0];
    EXPECT_EQ(model.id, "Nova-9");
    EXPECT_EQ(model.name, "Nova \xc3\xa4");
    EXPECT_EQ(model.description, "line one");
    EXPECT_EQ(model.rate, 250u);
    EXPECT_EQ(model.facts.context, 512'000u);
    EXPECT_EQ(model.facts.output, 96'000u);
    EXPECT_FALSE(model.facts.images);
    EXPECT_TRUE(model.facts.documents);
    const ReasoningFacts &reasoning = model.facts.reasoning;
    EXPECT_EQ(reasoning.field, EffortField::output_config);
    EXPECT_TRUE(reasoning.takes(Effort::low) && reasoning.takes(Effort::medium) &&
                reasoning.takes(Effort::max));
    EXPECT_FALSE(reasoning.takes(Effort::high) || reasoning.takes(Effort::none));
    EXPECT_EQ(reasoning.usual, Effort::max);
    EXPECT_TRUE(reasoning.adaptive && reasoning.display && reasoning.between_tools);
    EXPECT_FALSE(reasoning.disabled);
    EXPECT_EQ(catalogue.default_model(), "Nova-9");
}

TEST(ModelList, OnlyTheIdIsNeeded) {
    List list;
    ASSERT_EQ(
        list.page(
            R"({"models":[{"modelId":"a"},{"modelId":"claude-opus-5"},)"
            R"({"modelId":"b","modelName":null,"description":null,"rateMultiplier":null,"tokenLimits":null,)"
            R"("supportedInputTypes":null,"additionalModelRequestFieldsSchema":null,"promptCaching":null},)"
            R"({"modelId":"c","tokenLimits":{"maxInputTokens":null,"maxOutputTokens":-3}},)"
            R"({"modelName":"nameless"},{"modelId":null},null,7,"x",[]]})"),
        KIRO_OK);
    const std::string bytes = list.catalogue();
    const Catalogue catalogue(bytes);
    ASSERT_EQ(catalogue.size(), 4u);
    EXPECT_EQ(catalogue.find("a")->facts, ModelFacts{});
    EXPECT_EQ(catalogue.find("b")->facts, ModelFacts{});
    EXPECT_EQ(catalogue.find("c")->facts, ModelFacts{});
    const Model opus = *catalogue.find("claude-opus-5");
    EXPECT_EQ(opus.facts.context, 1'000'000u) << "the built-in table fills the gap";
    EXPECT_EQ(opus.name, "Claude Opus 5");
    EXPECT_FALSE(opus.facts.reasoning.native()) << "but a schema that is not listed is not there";
}

TEST(ModelList, SchemasOfAllKinds) {
    struct Case {
        const char *schema;
        ReasoningFacts facts;
    };
    const auto bit = [](Effort e) { return static_cast<uint8_t>(1U << static_cast<unsigned>(e)); };
    const Case cases[] = {
        {R"({"properties":{"reasoning":{"properties":{"effort":{"enum":["none","high"]}}}}})",
         {EffortField::reasoning, static_cast<uint8_t>(bit(Effort::none) | bit(Effort::high)), Effort::high}},
        {R"({"properties":{"reasoning":{"properties":{"effort":{"enum":["low"],"default":"max"}}}}})",
         {EffortField::reasoning, bit(Effort::low), Effort::low}},
        {R"({"properties":{"thinking":{"properties":{"type":{"const":"disabled"}}}}})",
         {EffortField::none, 0, Effort::high, false, true}},
        {R"({"properties":{"output_config":{"properties":{"effort":{"enum":[1,null,"new"]}}}}})", {}},
        {R"({"properties":{"output_config":{"properties":{"effort":{"type":"string"}}}}})", {}},
        {R"({"properties":[]})", {}},
        {R"({"properties":{"reasoning":true}})", {}},
        {R"("{}")", {}},
        {"[]", {}},
        {"{}", {}},
    };
    for (const auto &c : cases) {
        List list;
        ASSERT_EQ(list.page(R"({"models":[{"modelId":"m","additionalModelRequestFieldsSchema":)" +
                            std::string(c.schema) + "}]}"),
                  KIRO_OK);
        const std::string bytes = list.catalogue();
        EXPECT_EQ(Catalogue(bytes)[0].facts.reasoning, c.facts) << c.schema;
    }
}

TEST(ModelList, CollectsPages) {
    List list;
    ASSERT_EQ(list.page(R"({"models":[{"modelId":"a"}],"nextToken":"t\"1"})"), KIRO_AGAIN);
    EXPECT_EQ(list.next(), R"(t\"1)");
    ASSERT_EQ(list.page(R"({"models":[],"nextToken":"t2"})"), KIRO_AGAIN);
    ASSERT_EQ(list.page(R"({"models":[{"modelId":"b"}],"defaultModel":{"modelId":"b"}})"), KIRO_OK);
    EXPECT_EQ(list.next(), "");
    const std::string bytes = list.catalogue();
    EXPECT_EQ(Catalogue(bytes).size(), 2u);
    EXPECT_EQ(Catalogue(bytes).default_model(), "b");
}

TEST(ModelList, EndsWithoutAnEnd) {
    List same;
    ASSERT_EQ(same.page(R"({"models":[{"modelId":"a"}],"nextToken":"t"})"), KIRO_AGAIN);
    EXPECT_EQ(same.page(R"({"models":[{"modelId":"b"}],"nextToken":"t"})"), KIRO_OK)
        << "the same page for ever";
    List endless;
    int pages = 1;
    while (endless.page(R"({"models":[{"modelId":"a"}],"nextToken":")" + std::to_string(pages) + "\"}") ==
           KIRO_AGAIN)
        pages++;
    EXPECT_EQ(pages, 16);
}

TEST(ModelList, RefusesWhatIsNoList) {
    struct Case {
        int status;
        const char *body;
        const char *message;
    };
    const Case cases[] = {
        {200, "", "is not JSON"},
        {200, "<html>sign in</html>", "is not JSON"},
        {200, "[]", "no JSON object"},
        {200, R"("text")", "no JSON object"},
        {200, "{}", "lists no model"},
        {200, R"({"models":[]})", "lists no model"},
        {200, R"({"models":{"modelId":"a"}})", "lists no model"},
        {301, "", "a redirect"},
        {404, "", "check management_endpoint"},
        {429, R"({"message":"slow","retryAfterMilliseconds":5000})", "answered 429"},
        {500, "", "answered 500"},
        {503, "<html>", "answered 503"},
        {400,
         R"({"__type":"AccessDeniedException","message":"The bearer token included in the request is invalid."})",
         "answered 400"},
    };
    for (const auto &c : cases) {
        List list;
        EXPECT_EQ(list.page(c.body, c.status), KIRO_ERROR) << c.status << c.body;
        EXPECT_NE(std::string(list.failure.message).find(c.message), std::string::npos)
            << list.failure.message;
        EXPECT_EQ(list.failure.upstream_status, c.status);
    }
}

// --- what clients get

std::string answer(kiro_api api, std::string_view catalogue, const char *id = nullptr,
                   const kiro_model_alias *aliases = nullptr, size_t naliases = 0) {
    kiro_failure f{};
    const kiro_models_view view{api, str(catalogue), aliases, naliases};
    kiro_str name{};
    if (id != nullptr)
        name = str(id);
    const kiro_str *chosen = id != nullptr ? &name : nullptr;
    std::string out(kiro_models_answer(&view, chosen, nullptr, 0, &f), '\0');
    if (out.empty()) {
        EXPECT_EQ(f.kind, KIRO_FAIL_MODEL_NOT_FOUND);
        return f.message;
    }
    EXPECT_EQ(kiro_models_answer(&view, chosen, out.data(), out.size(), &f), out.size());
    EXPECT_TRUE(kiro::json::validate(out)) << out;
    return out;
}

std::string one_model() {
    const ReasoningFacts facts{
        EffortField::output_config, 1 << 1 | 1 << 3, Effort::high, true, true, false, true};
    const Model model{"org/Nova:9%", "Nova \"9\"", "d", 1300, {512'000, 96'000, facts, true, false}};
    return write_catalogue({&model, 1}, "", 65536);
}

TEST(ModelsAnswer, OpenAi) {
    EXPECT_EQ(
        answer(KIRO_API_OPENAI_CHAT, one_model()),
        R"({"object":"list","data":[{"id":"org/Nova:9%","object":"model","created":0,"owned_by":"kiro",)"
        R"("name":"Nova \"9\"","description":"d","context_length":512000,"max_output_tokens":96000,)"
        R"("input_modalities":["text","image"],"reasoning_efforts":["low","high"],"rate_multiplier":1.3}],)"
        R"("models":[]})");
}

TEST(ModelsAnswer, Anthropic) {
    const std::string all = answer(KIRO_API_ANTHROPIC, one_model());
    EXPECT_TRUE(
        all.starts_with(R"({"data":[{"type":"model","id":"org/Nova:9%","display_name":"Nova \"9\"",)"
                        R"("description":"d","created_at":"1970-01-01T00:00:00Z","max_input_tokens":512000,)"
                        R"("max_tokens":96000,"capabilities":{"batch":{"supported":false})"))
        << all;
    EXPECT_TRUE(all.ends_with(R"(],"has_more":false,"first_id":"org/Nova:9%","last_id":"org/Nova:9%"})"))
        << all;
    EXPECT_NE(all.find(R"("effort":{"low":{"supported":true},"medium":{"supported":false},)"),
              std::string::npos);
    EXPECT_NE(all.find(R"("image_input":{"supported":true},"pdf_input":{"supported":false})"),
              std::string::npos);
}

TEST(ModelsAnswer, OneByAnyOfItsNames) {
    const std::string bytes = one_model();
    const std::string nova = answer(KIRO_API_OPENAI_CHAT, bytes, "ORG/nova:9%");
    EXPECT_TRUE(nova.starts_with(R"({"id":"org/Nova:9%",)")) << nova;
    EXPECT_EQ(answer(KIRO_API_OPENAI_CHAT, bytes, "claude-opus-5"),
              "The model 'claude-opus-5' does not exist.");
    EXPECT_TRUE(
        answer(KIRO_API_ANTHROPIC, "", "claude-opus-4-6-20260101")
            .starts_with(R"({"type":"model","id":"claude-opus-4.6","display_name":"Claude Opus 4.6",)"));
}

TEST(ModelsAnswer, AliasesAreModels) {
    const kiro_model_alias aliases[] = {
        {str("gpt-4o"), str("claude-sonnet-4.5")},
        {str("AUTO"), str("nobody")},
        {str("auto"), str("claude-opus-5")},
        {str("gpt-4o"), str("auto")},
    };
    const std::string all = answer(KIRO_API_OPENAI_CHAT, "", nullptr, aliases, 4);
    const auto count = [&](std::string_view text) {
        size_t n = 0;
        for (size_t at = 0; (at = all.find(text, at)) != std::string::npos; at++)
            n++;
        return n;
    };
    EXPECT_EQ(count(R"("id":"gpt-4o")"), 1u);
    EXPECT_EQ(count(R"("id":"auto")"), 1u) << "the alias hides the model";
    EXPECT_NE(
        all.find(
            R"({"id":"gpt-4o","object":"model","created":0,"owned_by":"kiro","name":"Claude Sonnet 4.5",)"
            R"("context_length":200000)"),
        std::string::npos);
    EXPECT_EQ(answer(KIRO_API_OPENAI_CHAT, "", "AUTO", aliases, 4),
              R"({"id":"AUTO","object":"model","created":0,"owned_by":"kiro","name":"AUTO"})");
    EXPECT_NE(
        answer(KIRO_API_ANTHROPIC, "", "AUTO", aliases, 4).find(R"("max_tokens":null,"capabilities":null)"),
        std::string::npos);
}

} // namespace
