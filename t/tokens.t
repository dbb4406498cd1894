use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro::Clients;

# The core's token counts beside another tokenizer's: no difference on any text.

my $dir = "$FindBin::Bin/clients";
my ($counter) = grep { defined && -x } $ENV{KIRO_COUNT_TOKENS},
    map { "$FindBin::Bin/../build/$_/kiro_count_tokens" } qw(fast asan);
plan skip_all => 'kiro_count_tokens is not built: ./dev test builds it' if !$counter;
my $node = node(18);

my $checks = 0;
for my $line (split /\n/, qx{'$node' '$dir/tokens.mjs' '$counter' 2>&1}) {
    if    ($line =~ /^ok (.*)/)     { $checks++; pass($1) }
    elsif ($line =~ /^not ok (.*)/) { $checks++; fail($1) }
    else                            { diag $line =~ s/^# ?//r }
}
is($?, 0, 'the script ended well');
cmp_ok($checks, '>=', 40, 'it compared something');

done_testing;
