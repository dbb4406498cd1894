use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Tokens come one by one, as the upstream paces them: nothing on the way keeps
# them back, the first one included.

my $t = Test::Kiro->new->start;
my ($words, $gap, $first) = (12, 150, 400);
my $patience = Test::Kiro::patience();

for my $api (qw(openai anthropic)) {
    for my $chunked (0, 1) {
        my $name = $chunked ? "$api, in small chunks" : $api;
        my $prompt = scripted({ words => $words, gap_ms => $gap, first_ms => $first, $chunked ? (chunk => 40) : () });
        my $r = $api eq 'openai' ? $t->openai($prompt, stream => 1) : $t->anthropic($prompt, stream => 1);
        my $s = $api eq 'openai' ? $t->openai_stream($r, $name) : $t->anthropic_stream($r, $name);
        is(@{ $s->{texts} }, $words, "$name: one event a word");
        my @at = map { $r->time_of($_->[0]) } @{ $s->{texts} };
        cmp_ok($at[0], '>=', $first / 1000 - 0.05, "$name: not before the upstream spoke");
        cmp_ok($at[0], '<', $first / 1000 + 0.12 * $patience, "$name: the first word at once");
        my @gaps = map { $at[$_] - $at[ $_ - 1 ] } 1 .. $#at;
        my $together = grep { $_ < $gap / 1000 / 3 } @gaps;
        cmp_ok($together, '<=', 1 + ($patience > 1 ? 3 : 0), "$name: no two words at once")
            or diag join ' ', map { sprintf '%.3f', $_ } @at;
        my $wanted = ($words - 1) * $gap / 1000;
        my $took   = $at[-1] - $at[0];
        ok($took > $wanted * 0.8 && $took < $wanted * 1.3 + 0.5 * $patience, "$name: over the right time")
            or diag "$took instead of $wanted";
        my $late = $r->{ended_at} - $at[-1];
        cmp_ok($late, '<', 1.2 * $patience, "$name: the end follows the last word");
    }
}

$t->done;
