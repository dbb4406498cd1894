#include "core/chat/rules.h"

#include <array>

namespace kiro::chat {

namespace {

struct Row {
    Rule rule;
    kiro_rule shown;
    std::size_t up = 0;
};

constexpr kiro_rule change(const char *name, const char *text) {
    return {name, KIRO_RULE_CHANGE, text};
}
constexpr kiro_rule refusal(const char *name, const char *text) {
    return {name, KIRO_RULE_REFUSAL, text};
}
constexpr kiro_rule suspicion(const char *name, const char *text) {
    return {name, KIRO_RULE_SUSPICION, text};
}

// clang-format off
constexpr std::array rows{
    Row{Rule::surrogate_replaced, change("surrogate-replaced", "Half of a surrogate pair in an escape became U+FFFD.")},
    Row{Rule::parameter_ignored, change("parameter-ignored", "A parameter that the service has no field for has no effect.")},
    Row{Rule::unknown_member_ignored, change("unknown-member-ignored", "A member of the body that the gateway does not know has no effect.")},
    Row{Rule::member_ignored, change("member-ignored", "A member of a message, item, content part or tool has no effect.")},
    Row{Rule::cache_control_ignored, change("cache-control-ignored", "The service decides itself what it caches.")},
    Row{Rule::max_tokens_by_gateway, change("max-tokens-by-gateway", "The limit of the answer is not sent: the gateway ends the answer there.")},
    Row{Rule::stop_by_gateway, change("stop-by-gateway", "Stop texts are not sent: the gateway ends the answer there.")},

    Row{Rule::model_defaulted, change("model-defaulted", "The request names no model and got the default one.")},
    Row{Rule::model_aliased, change("model-aliased", "The operator's configuration has another model for this name.")},
    Row{Rule::model_renamed, change("model-renamed", "The model's name is written as the service does.")},
    Row{Rule::effort_from_model, change("effort-from-model", "An ending of the model's name says how hard to think.")},

    Row{Rule::block_as_text, change("block-as-text", "Content that the service has no form for is sent as text."), 1},
    Row{Rule::block_left_out, change("block-left-out", "Content that has nothing for this model is not sent."), 1},
    Row{Rule::server_item_left_out, change("server-item-left-out", "An item that only its own server understands is not sent."), 1},
    Row{Rule::base64_repaired, change("base64-repaired", "White space, another alphabet or padding of base64 was put right.")},
    Row{Rule::image_format_corrected, change("image-format-corrected", "The bytes of an image have another format than the request says.")},
    Row{Rule::arguments_wrapped, change("arguments-wrapped", "Arguments of a call that are no JSON object were put into one.")},
    Row{Rule::freeform_wrapped, change("freeform-wrapped", "The text of a call of a freeform tool was put into a JSON object.")},
    Row{Rule::leaked_call_removed, change("leaked-call-removed", "A tool call that an earlier answer wrote as text was taken out of it.")},

    Row{Rule::system_prepended, change("system-prepended", "System text stands in front of the first user message.")},
    Row{Rule::system_as_user, change("system-as-user", "A system message further down is part of the user's turn.")},
    Row{Rule::volatile_line_removed, change("volatile-line-removed", "A line of the system text that differs in each request was taken out.")},
    Row{Rule::blank_text_removed, change("blank-text-removed", "A text of white space alone is not sent.")},
    Row{Rule::assistant_turn_removed, change("assistant-turn-removed", "A message of the assistant says nothing and is not sent.")},
    Row{Rule::message_merged, change("message-merged", "Neighbouring messages of one side became one.")},
    Row{Rule::user_turn_added, change("user-turn-added", "The conversation must begin and end with the user, so a turn was added.")},
    Row{Rule::empty_text_filled, change("empty-text-filled", "A user's turn without text or results says a full stop.")},

    Row{Rule::call_id_rewritten, change("call-id-rewritten", "The id of a call was missing, too long, used twice or had characters that are refused.")},
    Row{Rule::tool_result_added, change("tool-result-added", "A call without a result got one that says so."), 1},
    Row{Rule::tool_result_reordered, change("tool-result-reordered", "The results of a turn stand in the order of their calls."), 1},
    Row{Rule::tool_result_as_text, change("tool-result-as-text", "A result that answers no call of the turn before it became text."), 1},
    Row{Rule::tool_result_shortened, change("tool-result-shortened", "The middle of a result that is too long gave way to a line that says so."), 1},
    Row{Rule::empty_result_filled, change("empty-result-filled", "A result without text says that it has none."), 1},
    Row{Rule::tool_error_told, change("tool-error-told", "That a call failed is said in the result's text."), 1},
    Row{Rule::arguments_flattened, change("arguments-flattened", "Arguments of a call that nest too deeply became text."), 1},

    Row{Rule::image_left_out, change("image-left-out", "The oldest images gave way to a line that says so.")},
    Row{Rule::image_hoisted, change("image-hoisted", "An image of a tool's result stands in the message.")},
    Row{Rule::document_left_out, change("document-left-out", "The oldest documents gave way to a line that says so.")},
    Row{Rule::document_hoisted, change("document-hoisted", "A document of a tool's result stands in the message.")},
    Row{Rule::document_renamed, change("document-renamed", "A document got a name of plain characters that no other one has.")},

    Row{Rule::tool_left_out, change("tool-left-out", "A tool that only its own server could run is not offered.")},
    Row{Rule::tool_withheld, change("tool-withheld", "A tool that must not be called in this answer is not offered."), 1},
    Row{Rule::tool_duplicate_removed, change("tool-duplicate-removed", "A second tool of a name is not offered."), 1},
    Row{Rule::tool_renamed, change("tool-renamed", "The name of a tool was too long or had characters that are refused.")},
    Row{Rule::tool_stub_added, change("tool-stub-added", "A tool that only the history calls was declared."), 1},
    Row{Rule::tool_schema_added, change("tool-schema-added", "A tool that comes without a schema got the one that it is known to have."), 1},
    Row{Rule::freeform_tool_wrapped, change("freeform-tool-wrapped", "A freeform tool is offered as one with a single text."), 1},
    Row{Rule::tool_grammar_told, change("tool-grammar-told", "The grammar of a freeform tool stands in its description.")},
    Row{Rule::tool_description_filled, change("tool-description-filled", "A tool without a description got its name as one."), 1},
    Row{Rule::tool_description_moved, change("tool-description-moved", "A description of more than 10,000 characters stands in the system text.")},
    Row{Rule::schema_made_object, change("schema-made-object", "The root of a tool's schema is an object.")},
    Row{Rule::schema_reference_inlined, change("schema-reference-inlined", "A reference in a schema was replaced by what it means.")},
    Row{Rule::schema_recursion_cut, change("schema-recursion-cut", "A reference in a schema that has no end, or no target, became a hint.")},
    Row{Rule::schema_all_of_merged, change("schema-all-of-merged", "The parts of allOf became one schema.")},
    Row{Rule::schema_union_flattened, change("schema-union-flattened", "A union at the root of a schema became one object.")},
    Row{Rule::schema_union_folded, change("schema-union-folded", "A union in a schema became one type, a list of values or a hint.")},
    Row{Rule::schema_null_told, change("schema-null-told", "That a value may be null stands in the description.")},
    Row{Rule::schema_type_told, change("schema-type-told", "A choice of types stands in the description.")},
    Row{Rule::schema_value_told, change("schema-value-told", "A constant, default, enum or tuple that is refused stands in the description or in a list.")},
    Row{Rule::schema_keyword_told, change("schema-keyword-told", "A keyword of a schema that is refused stands in the description.")},
    Row{Rule::schema_keyword_removed, change("schema-keyword-removed", "A keyword of a schema that says nothing to a model was left out.")},
    Row{Rule::schema_cut, change("schema-cut", "A part of a schema that is too deep or too large takes any value.")},

    Row{Rule::tool_choice_told, change("tool-choice-told", "Which tools to call is asked for in words.")},
    Row{Rule::tool_choice_ignored, change("tool-choice-ignored", "The tool that is asked for cannot be offered.")},
    Row{Rule::parallel_calls_told, change("parallel-calls-told", "That one call at most is wanted is asked for in words.")},
    Row{Rule::output_format_told, change("output-format-told", "The form of the answer is asked for in words.")},
    Row{Rule::answer_continued, change("answer-continued", "That the answer goes on from the last message is asked for in words.")},
    Row{Rule::search_run, change("search-run", "The request is a web search: no model is asked.")},
    Row{Rule::effort_clamped, change("effort-clamped", "The model does not take the effort that is asked for and got its nearest or usual one.")},
    Row{Rule::budget_as_effort, change("budget-as-effort", "A number of tokens to think with became an effort.")},
    Row{Rule::thinking_by_tags, change("thinking-by-tags", "The model is asked in words to think in tags.")},
    Row{Rule::thinking_ignored, change("thinking-ignored", "Thinking or an effort is asked for, but the model or the configuration does not allow it.")},
    Row{Rule::reasoning_left_out, change("reasoning-left-out", "Earlier reasoning that this account and model did not sign, or that is not wanted, is not sent.")},

    Row{Rule::notice_added, change("notice-added", "The model is told that calls of its last answer were cut off.")},
    Row{Rule::notice_left_out, change("notice-left-out", "The notice of calls that were cut off had no room.")},
    Row{Rule::fields_dropped, change("fields-dropped", "The service refused the reasoning settings; the request was sent again without them.")},
    Row{Rule::reasoning_dropped, change("reasoning-dropped", "The service refused earlier reasoning; the request was sent again without it.")},
    Row{Rule::repair_asked, change("repair-asked", "The answer had the wrong form; the model was asked once more.")},

    Row{Rule::valid_json, refusal("valid-json", "The body must be valid JSON in UTF-8.")},
    Row{Rule::body_object, refusal("body-object", "The body must be a JSON object.")},
    Row{Rule::known_route, refusal("known-route", "The gateway does not have this function.")},
    Row{Rule::required_member, refusal("required-member", "This member must be there.")},
    Row{Rule::member_type, refusal("member-type", "This member must have another type.")},
    Row{Rule::member_value, refusal("member-value", "This value is not possible here.")},
    Row{Rule::supported_feature, refusal("supported-feature", "The service cannot do this.")},
    Row{Rule::known_role, refusal("known-role", "A message has a role that the dialect does not know.")},
    Row{Rule::known_content_type, refusal("known-content-type", "A part or item has a type that the dialect does not know.")},
    Row{Rule::block_place, refusal("block-place", "Content of this type may not stand here.")},
    Row{Rule::image_source, refusal("image-source", "Images must be sent as base64: nothing is fetched.")},
    Row{Rule::image_data, refusal("image-data", "An image must be PNG, JPEG, GIF or WebP in base64, at most 10 MB.")},
    Row{Rule::document_data, refusal("document-data", "A document must be a PDF in base64, at most 10 MB.")},
    Row{Rule::image_count, refusal("image-count", "The last message may have 20 images at most.")},
    Row{Rule::document_count, refusal("document-count", "The last message may have 5 documents at most.")},
    Row{Rule::document_model, refusal("document-model", "The model takes no documents.")},
    Row{Rule::declared_tool, refusal("declared-tool", "The tool that is asked for is not among the tools.")},
    Row{Rule::known_model, refusal("known-model", "The model must be one that the account may use.")},
    Row{Rule::stored_state, refusal("stored-state", "Nothing is stored here: the whole conversation must be sent.")},
    Row{Rule::body_size, refusal("body-size", "The whole request is larger than the gateway or the service takes.")},
    Row{Rule::message_size, refusal("message-size", "A user's turn may have 600,000 characters at most.")},
    Row{Rule::history_length, refusal("history-length", "The history may have 10,000 turns at most.")},
    Row{Rule::prompt_size, refusal("prompt-size", "The conversation must fit into the model's context window.")},

    Row{Rule::many_tools, suspicion("many-tools", "More than 48 tools; about 120 are reported to be refused.")},
    Row{Rule::large_tools, suspicion("large-tools", "The tools together have more than 100,000 bytes.")},
    Row{Rule::union_in_schema, suspicion("union-in-schema", "A schema has anyOf below its root, which older hosts refuse.")},
    Row{Rule::large_body, suspicion("large-body", "The text has more than 600,000 bytes, which older hosts refuse.")},
    Row{Rule::long_history, suspicion("long-history", "The history has more than 198 turns, which is refused for some user agents.")},
    Row{Rule::many_images, suspicion("many-images", "More than 10 images.")},
    Row{Rule::large_image, suspicion("large-image", "An image of more than 3.75 MB in base64, or 8,000 pixels.")},
    Row{Rule::document_sent, suspicion("document-sent", "Some accounts and models take no documents.")},
    Row{Rule::reasoning_fields_sent, suspicion("reasoning-fields-sent", "Settings for reasoning, which some accounts may not send.")},
    Row{Rule::reasoning_replayed, suspicion("reasoning-replayed", "Earlier reasoning with its signature.")},
    Row{Rule::unlisted_model, suspicion("unlisted-model", "The model is not in the account's list.")},
    Row{Rule::history_order, suspicion("history-order", "The turns do not alternate: a mistake of the gateway.")},
    Row{Rule::call_pairing, suspicion("call-pairing", "Calls and results do not match: a mistake of the gateway.")},
    Row{Rule::tool_names, suspicion("tool-names", "A tool's name or description is not legal, or a call has an undeclared name: a mistake of the gateway.")},
    Row{Rule::blank_turn, suspicion("blank-turn", "A turn says nothing: a mistake of the gateway.")},
};
// clang-format on

constexpr bool in_order() {
    for (std::size_t i = 0; i < rows.size(); i++) {
        if (static_cast<std::size_t>(rows[i].rule) != i)
            return false;
    }
    return rows.size() == rule_count;
}
static_assert(in_order(), "one row a rule");

} // namespace

const kiro_rule &row_of(Rule rule) noexcept {
    return rows[static_cast<std::size_t>(rule)].shown;
}

std::size_t levels_up(Rule rule) noexcept {
    return rows[static_cast<std::size_t>(rule)].up;
}

} // namespace kiro::chat
