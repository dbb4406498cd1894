/*
 * The pieces that cl100k_base cuts a text into before it merges bytes; no token spans two of them. By hand
 * what this expression says, first alternative first:
 *
 *   (?i:'s|'t|'re|'ve|'m|'ll|'d) | [^\r\n\p{L}\p{N}]?\p{L}+ | \p{N}{1,3} | ?[^\s\p{L}\p{N}]+[\r\n]*
 *   | \s*[\r\n]+ | \s+(?!\S) | \s+
 */
#pragma once

namespace kiro::tokens {

// The end of the piece that begins at p, which is before end. Bytes that are not UTF-8 count as characters
// that are neither letter, number nor space.
const char *piece_end(const char *p, const char *end);

} // namespace kiro::tokens
