// The names of what may happen to a request, for who asks why it did. One row a rule; docs/operations.md has
// the same table.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kiro/explain.h"

namespace kiro::chat {

enum class Rule : std::uint8_t {
    // of the body
    surrogate_replaced,
    parameter_ignored,
    unknown_member_ignored,
    member_ignored,
    cache_control_ignored,
    max_tokens_by_gateway,
    stop_by_gateway,

    // of the model
    model_defaulted,
    model_aliased,
    model_renamed,
    effort_from_model,

    // of contents
    block_as_text,
    block_left_out,
    server_item_left_out,
    base64_repaired,
    image_format_corrected,
    arguments_wrapped,
    freeform_wrapped,
    leaked_call_removed,

    // of the conversation
    system_prepended,
    system_as_user,
    volatile_line_removed,
    blank_text_removed,
    assistant_turn_removed,
    message_merged,
    user_turn_added,
    empty_text_filled,

    // of calls and results
    call_id_rewritten,
    tool_result_added,
    tool_result_reordered,
    tool_result_as_text,
    tool_result_shortened,
    empty_result_filled,
    tool_error_told,
    arguments_flattened,

    // of images and documents
    image_left_out,
    image_hoisted,
    document_left_out,
    document_hoisted,
    document_renamed,

    // of tools
    tool_left_out,
    tool_withheld,
    tool_duplicate_removed,
    tool_renamed,
    tool_stub_added,
    tool_schema_added,
    freeform_tool_wrapped,
    tool_grammar_told,
    tool_description_filled,
    tool_description_moved,
    schema_made_object,
    schema_reference_inlined,
    schema_recursion_cut,
    schema_all_of_merged,
    schema_union_flattened,
    schema_union_folded,
    schema_null_told,
    schema_type_told,
    schema_value_told,
    schema_keyword_told,
    schema_keyword_removed,
    schema_cut,

    // of what has no field upstream
    tool_choice_told,
    tool_choice_ignored,
    parallel_calls_told,
    output_format_told,
    answer_continued,
    search_run,
    effort_clamped,
    budget_as_effort,
    thinking_by_tags,
    thinking_ignored,
    reasoning_left_out,

    // of later attempts
    notice_added,
    notice_left_out,
    fields_dropped,
    reasoning_dropped,
    repair_asked,

    // refusals
    valid_json,
    body_object,
    known_route,
    required_member,
    member_type,
    member_value,
    supported_feature,
    known_role,
    known_content_type,
    block_place,
    image_source,
    image_data,
    document_data,
    image_count,
    document_count,
    document_model,
    declared_tool,
    known_model,
    stored_state,
    body_size,
    message_size,
    history_length,
    prompt_size,

    // suspicions
    many_tools,
    large_tools,
    union_in_schema,
    large_body,
    long_history,
    many_images,
    large_image,
    document_sent,
    reasoning_fields_sent,
    reasoning_replayed,
    unlisted_model,
    history_order,
    call_pairing,
    tool_names,
    blank_turn,

    none, // and how many there are
};

constexpr std::size_t rule_count = static_cast<std::size_t>(Rule::none);

const kiro_rule &row_of(Rule rule) noexcept; // not of Rule::none

// How far above the place that is noted the thing stands that a rule is about.
std::size_t levels_up(Rule rule) noexcept;

} // namespace kiro::chat
