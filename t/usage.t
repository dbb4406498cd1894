use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Usage: where the numbers come from, that they are the same in all dialects and in the log, and what they cost.

my $vectors = Test::Kiro::root() . '/gtest/data/vectors';
my $t = Test::Kiro->new(
    location => 'kiro_retries 1; kiro_retry_delay 10ms;',
    server   => "location /filter/ { alias $vectors/; kiro_filter anthropic; types { application/vnd.amazon.eventstream bin; } }",
)->start;

my $n = 0;

# Input, output, reasoning, cache read, cache write and total as the dialect's body has them.
my %told = (
    openai => sub {
        my ($u) = @_;
        my ($in, $out) = @$u{qw(prompt_tokens_details completion_tokens_details)};
        return (@$u{qw(prompt_tokens completion_tokens)}, $out->{reasoning_tokens}, @$in{qw(cached_tokens cache_write_tokens)}, $u->{total_tokens});
    },
    responses => sub {
        my ($u) = @_;
        my ($in, $out) = @$u{qw(input_tokens_details output_tokens_details)};
        return (@$u{qw(input_tokens output_tokens)}, $out->{reasoning_tokens}, @$in{qw(cached_tokens cache_write_tokens)}, $u->{total_tokens});
    },
    anthropic => sub {
        my ($u) = @_;
        my ($read, $write) = @$u{qw(cache_read_input_tokens cache_creation_input_tokens)};
        my $input = $u->{input_tokens} + $read + $write;
        return ($input, $u->{output_tokens}, $u->{output_tokens_details}{thinking_tokens}, $read, $write, $input + $u->{output_tokens});
    },
);

# One request; what the client was told, and its line in the log.
sub ask {
    my ($api, $stream, $plan, %o) = @_;
    my @usage = $api eq 'openai' && $stream ? (usage => 1) : ();
    my $r = $t->$api(scripted($plan), stream => $stream, @usage, %o);
    my $check = $api . ($stream ? '_stream' : '_object');
    my $seen = $t->$check($r, "$api, " . ($stream ? 'streamed' : 'collected'), @usage);
    my %u;
    @u{qw(input output reasoning cache_read cache_write total)} = $told{$api}->($seen->{usage});
    is(delete $u{total}, $u{input} + $u{output}, 'the total is the sum');
    my $v = $t->last_access(++$n);
    is_deeply({ map { $_ => $v->{$_} } sort keys %u }, { map { $_ => "$u{$_}" } sort keys %u }, 'the log says what the client was told');
    if (!$stream) {
        is($r->header('x-kiro-usage'), $v->{usage}, 'X-Kiro-Usage');
        cmp_ok($r->header('x-kiro-credits') // 0, '==', $v->{credits}, 'X-Kiro-Credits');
    }
    return (\%u, $v);
}

my %counts = (uncachedInputTokens => 120, outputTokens => 35, totalTokens => 1155, cacheReadInputTokens => 900, cacheWriteInputTokens => 100);
my %input = (input => 1120, cache_read => 900, cache_write => 100, reasoning => 0);
my @rows = (
    [ 'counts of the service', { words => 20, context_pct => 50, metadata => { tokenUsage => \%counts } }, 'upstream', { %input, output => 35 } ],
    [ 'counts without an output', { words => 40, metadata => { tokenUsage => { %counts, outputTokens => 0 } } }, 'upstream', \%input ],
    [ 'counts that are zero', { words => 20, context_pct => 0, metadata => { tokenUsage => { map { $_ => 0 } keys %counts } } }, 'estimate', {} ],
    [ 'counts that are none', { words => 20, context_pct => 0, metadata => { tokenUsage => { map { $_ => -1e18 } keys %counts } } }, 'estimate', {} ],
    [ 'the percentage of the live window', { words => 20, context_pct => 10 }, 'percent', {}, 20_000 ],
    [ 'too much of a percentage', { words => 20, context_pct => 130 }, 'estimate', {} ],
    [ 'no percentage', { words => 20, context_pct => 0 }, 'estimate', {} ],
    [ 'less than the answer', { words => 200, context_pct => 0.001 }, 'estimate', {} ],
);
for my $row (@rows) {
    my ($name, $plan, $source, $want, $sum) = @$row;
    for my $api (qw(openai anthropic responses)) {
        for my $stream (0, 1) {
            subtest "$name, $api, " . ($stream ? 'streamed' : 'collected') => sub {
                my ($u, $v) = ask($api, $stream, $plan);
                is($v->{usage}, $source, 'the source');
                is($u->{$_}, $want->{$_}, $_) for sort keys %$want;
                is($u->{input} + $u->{output}, $sum, 'input and output') if $sum;
                cmp_ok($u->{input}, '>', 0, 'an input');
                cmp_ok($u->{input}, '<', 50_000, 'that is not absurd');
                cmp_ok($u->{output}, '>', 0, 'an output');
            };
        }
    }
}

# Reasoning is part of the output, natively and in tags.
my $thought = 'I think about it for a while. ' x 5;
my %asked = (openai => { reasoning_effort => 'high' }, anthropic => { thinking => { type => 'adaptive' } },
    responses => { reasoning => { effort => 'high', summary => 'auto' } });
for my $api (qw(openai anthropic responses)) {
    for my $stream (0, 1) {
        for my $case ([ 'claude-opus-4-6', { reasoning => { text => $thought }, text => 'Four.' } ],
            [ 'claude-sonnet-4-5', { text => "<thinking>$thought</thinking>\n\nFour." } ]) {
            my ($model, $plan) = @$case;
            my ($u) = ask($api, $stream, $plan, body => { model => $model, %{ $asked{$api} } });
            cmp_ok($u->{reasoning}, '>', 20, "$api, $model: reasoning is counted");
            cmp_ok($u->{reasoning}, '<', $u->{output}, 'as part of the output');
        }
    }
}

# An answer that is stopped has no tail: nothing is known of its price.
my ($u, $v) = ask('anthropic', 1, { words => 5000, gap_ms => 1 }, body => { max_tokens => 20 });
is($v->{usage}, 'estimate', 'a stopped answer is estimated');
cmp_ok($u->{output}, '<=', 20, 'its output is not above the limit');

# Credits: of several events, of several attempts, of failures.
($u, $v) = ask('openai', 0, { credits => [ 0.25, 0.5 ] });
cmp_ok($v->{credits}, '==', 0.75, 'credits add up');

my $schema = { type => 'json_schema', json_schema => { name => 'x', schema => { type => 'object', required => ['a'] } } };
my $r = $t->openai(scripted({ text => '{"b":1}', credits => 0.25, metadata => { tokenUsage => \%counts } },
        { text => '{"a":1}', credits => 0.5, context_pct => 10 }), body => { response_format => $schema });
my $o = $t->openai_object($r, 'an answer that is asked for twice');
$v = $t->last_access(++$n);
is($v->{why}, 'repair_output', 'it was');
cmp_ok($v->{credits}, '==', 0.75, 'both attempts are paid');
cmp_ok($r->header('x-kiro-credits'), '==', 0.75, 'the header says so');
is($v->{usage}, 'percent', 'the counts of the first attempt are gone');
is($o->{usage}{prompt_tokens_details}{cached_tokens}, 0, 'all of them');

$r = $t->anthropic(scripted(('500') x 4));
$v = $t->last_access(++$n);
is($r->{status}, 502, 'a failed request');
is($v->{$_} // '', '', "it has no $_") for qw(input output reasoning cache_read cache_write usage credits context stop);
is($r->header('x-kiro-usage'), undef, 'and no header');

$r = $t->anthropic(scripted({ words => 30, cut => { events => 20 } }), stream => 1);
$v = $t->last_access(++$n);
is($v->{usage}, 'estimate', 'an answer that was cut is estimated');
cmp_ok($v->{output}, '>', 0, 'what came is counted');

# kiro_filter knows no request.
my $s = $t->anthropic_stream($t->get('/filter/s05_native_reasoning.bin'), 'kiro_filter');
$v = $t->last_access(++$n);
is($v->{usage}, 'percent', 'kiro_filter takes the percentage');
is($v->{input} + $v->{output}, 2500, 'of the usual window');
is($v->{input}, $s->{usage}{input_tokens}, 'and tells the client');
cmp_ok($v->{reasoning}, '>', 0, 'reasoning is counted');
cmp_ok($v->{credits}, '>', 0, 'credits too');
is($v->{error} // '', '', 'no failure');
$t->get('/filter/s15_midstream_exception.bin');
$v = $t->last_access(++$n);
isnt($v->{error} // '', '', 'a failure has its kind');

$t->done;
