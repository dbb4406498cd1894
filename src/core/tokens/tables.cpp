#include "core/tokens/tables.h"

// KIRO_TOKEN_TABLES is the path of the generated file: an array in C++ would take the compiler minutes.
asm(".pushsection .rodata\n"
    ".balign 64\n"
    ".globl kiro_token_tables\n"
    ".hidden kiro_token_tables\n"
    ".type kiro_token_tables, @object\n"
    "kiro_token_tables:\n"
    ".incbin \"" KIRO_TOKEN_TABLES "\"\n"
    ".size kiro_token_tables, . - kiro_token_tables\n"
    ".popsection\n");
