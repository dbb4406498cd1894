use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_tool_stream incremental: calls are passed on while they come.

my $t = Test::Kiro->new(location => 'kiro_tool_stream incremental; kiro_retry_delay 10ms;')->start;

my @tools = map { { name => $_, schema => { type => 'object' } } } qw(get_weather get_time);
my @cut = (streamed_calls => 1);
my %api = (
    openai => { ask => sub { $t->openai(@_) }, x => sub { $t->openai_x(@_) }, stream => sub { $t->openai_stream(@_, @cut) },
        object => sub { $t->openai_object(@_) }, word => 'finish', calls => 'tool_calls', length => 'length', key => qr/"arguments":"([^"].*?)"[,}]/,
        body => { tools => [ map { { type => 'function', function => { name => $_->{name}, parameters => $_->{schema} } } } @tools ] } },
    anthropic => { ask => sub { $t->anthropic(@_) }, x => sub { $t->anthropic_x(@_) }, stream => sub { $t->anthropic_stream(@_, @cut) },
        object => sub { $t->anthropic_object(@_) }, word => 'stop', calls => 'tool_use', length => 'max_tokens', key => qr/"partial_json":"(.*?)"\}/,
        body => { tools => [ map { { name => $_->{name}, input_schema => $_->{schema} } } @tools ] } },
    responses => { ask => sub { $t->responses(@_) }, x => sub { $t->responses_x(@_) }, stream => sub { $t->responses_stream(@_, @cut) },
        object => sub { $t->responses_object(@_) }, word => 'status', calls => 'completed', length => 'incomplete', key => qr/arguments\.delta".*?"delta":"(.*?)"\}/,
        body => { tools => [ map { { type => 'function', name => $_->{name}, parameters => $_->{schema} } } @tools ] } },
);
my %input = (city => "Paris \x{1f600} \x{e9}\n\"\\", days => 2);

for my $name (sort keys %api) {
    my $a = $api{$name};
    my $ask = sub { my ($plan, $what, %o) = @_; my $r = $a->{ask}->($plan, stream => 1, body => $a->{body}, %o); return ($a->{stream}->($r, "$name, $what"), $r) };

    for my $split (1, 3, 30) {
        my ($s, $r) = $ask->(scripted({ text => 'Let me look.', tools => [ { input => \%input, split => $split },
            { name => 'get_time', input => { zone => 'UTC' }, split => $split }, { name => 'get_time' }, { input => { a => 1 }, object => JSON::PP::true } ] }), "$split pieces");
        is_deeply([ map { $_->{input} } @{ $s->{tools} } ], [ \%input, { zone => 'UTC' }, {}, { a => 1 } ], 'the inputs');
        is($s->{text}, 'Let me look.', 'the text');
        is($s->{ $a->{word} }, $a->{calls}, $a->{calls});
        my @pieces = $r->{body} =~ /$a->{key}/g;
        cmp_ok(scalar @pieces, '>=', $split + 3, 'the pieces');
    }

    # In parts, while the rest is still to come.
    my $x = $a->{x}->(scripted({ tools => [ { input => { text => 'x' x 2000 }, split => 40 } ], hold_at => 20, hold => "half-$name" }),
        stream => 1, body => $a->{body});
    ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { $t->turn(0.05, $x); 500 < ($x->{body} // '') =~ tr/x// }),
        "$name: a part of the call is there");
    ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { $t->stats->{held}{"half-$name"} }), 'the rest is still to come');
    $t->turn(0, $x);
    ok(!$x->{done}, 'and does not');
    $t->sim(POST => 'release', { name => "half-$name" });
    $t->run($x);
    is_deeply([ map { $_->{input} } @{ $a->{stream}->($x, "$name, held half-way")->{tools} } ], [ { text => 'x' x 2000 } ], 'all of it');

    # Cut.
    my %plan = (
        'without its stop' => { tools => [ { input => '{"city":"Paris",', split => 3, no_stop => JSON::PP::true } ] },
        'that is no JSON'  => { tools => [ { input => '{"city":"Par', split => 2 } ] },
        'that ends with the connection' => { tools => [ { input => '{"city"', split => 2, no_stop => JSON::PP::true } ], no_tail => JSON::PP::true },
    );
    for my $what (sort keys %plan) {
        my ($s) = $ask->(scripted({ text => 'Well.', %{ $plan{$what} } }), "a call $what");
        is_deeply($s->{tools}, [], 'no whole call');
        is(scalar @{ $s->{cut} // [] }, 1, 'one that was cut');
        is($s->{text}, 'Well.', 'the text');
        is($s->{ $a->{word} }, $a->{length}, $a->{length});
    }
    my ($s) = $ask->(scripted({ tools => [ { input => \%input, split => 3 } ], exception => { type => 'error', after_events => 3, message => 'x', reason => 'MODEL_TEMPORARILY_UNAVAILABLE' } }),
        'an exception in a call');
    ok($s->{error}, 'an error');

    # Collected answers have whole calls.
    my $o = $a->{object}->($a->{ask}->(scripted({ text => 'Well.', tools => [ { input => \%input, split => 9 }, { input => '{"city":', split => 2 } ] }), body => $a->{body}), "$name, collected");
    is_deeply([ map { $_->{input} } @{ $o->{tools} } ], [ \%input ], 'the whole call');
    is($o->{ $a->{word} }, $a->{length}, $a->{length});
}

$t->done;
