use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Calls of tools: definitions go up, calls come down, results go up again.

my $t = Test::Kiro->new->start;

my $schema = {
    type => 'object', properties => { city => { type => 'string' }, days => { type => 'integer' } },
    required => ['city'], additionalProperties => JSON::PP::false,
};
my @openai = map { { type => 'function', function => { name => $_, description => "does $_", parameters => $schema } } }
    qw(get_weather get_time);
my @anthropic = map { { name => $_, description => "does $_", input_schema => $schema } } qw(get_weather get_time);

sub last_seen { return ($t->seen)[-1] }

my %input = (city => 'Paris', days => 2);
my %shape = (
    'one call'        => [ { tools => [ { input => \%input, split => 3 } ] }, [ \%input ] ],
    'text and a call' => [ { text => 'Let me look.', tools => [ { input => \%input } ] }, [ \%input ], 'Let me look.' ],
    'many fragments'  => [ { tools => [ { input => \%input, split => 20 } ], chunk => 7 }, [ \%input ] ],
    'two calls' => [ { tools => [ { input => \%input, split => 3 }, { input => { city => 'Oslo' }, split => 2 } ] },
        [ \%input, { city => 'Oslo' } ] ],
    'input as an object' => [ { tools => [ { input => \%input, object => JSON::PP::true } ] }, [ \%input ] ],
    'no input'           => [ { tools => [ { name => 'get_time' } ] }, [ {} ] ],
    'empty input'        => [ { tools => [ { name => 'get_time', input => '' } ] }, [ {} ] ],
    'escapes' => [ { tools => [ { input => { city => "a\"b\\\n\x{e9}\x{1f600}" }, split => 9 } ] },
        [ { city => "a\"b\\\n\x{e9}\x{1f600}" } ] ],
);

for my $name (sort keys %shape) {
    my ($plan, $inputs, $text) = @{ $shape{$name} };
    my $s = $t->openai_stream($t->openai(scripted($plan), stream => 1, body => { tools => \@openai }), "openai, $name, streamed");
    my $o = $t->openai_object($t->openai(scripted($plan), body => { tools => \@openai }), "openai, $name, collected");
    for ($s, $o) {
        is_deeply([ map { $_->{input} } @{ $_->{tools} } ], $inputs, 'the inputs');
        is($_->{finish}, 'tool_calls', 'finish_reason');
        is($_->{text} // '', $text // '', 'the text');
    }
    $s = $t->anthropic_stream($t->anthropic(scripted($plan), stream => 1, body => { tools => \@anthropic }),
        "anthropic, $name, streamed");
    $o = $t->anthropic_object($t->anthropic(scripted($plan), body => { tools => \@anthropic }), "anthropic, $name, collected");
    for ($s, $o) {
        is_deeply([ map { $_->{input} } @{ $_->{tools} } ], $inputs, 'the inputs');
        is($_->{stop}, 'tool_use', 'stop_reason');
        is($_->{text} // '', $text // '', 'the text');
    }
}

# The round trip, both ways of asking.
for my $stream (0, 1) {
    my $way  = $stream ? 'streamed' : 'collected';
    my $call = scripted({ text => 'Let me look.', tools => [ { input => \%input, split => 4 }, { name => 'get_time', input => {} } ] });

    my @history = ({ role => 'user', content => $call });
    my $r = $t->openai([@history], stream => $stream, body => { tools => \@openai });
    my $s = $stream ? $t->openai_stream($r, "openai $way, call") : $t->openai_object($r, "openai $way, call");
    my $defined = last_seen()->{body};
    like(json($defined), qr/"get_weather".*"get_time"|"get_time".*"get_weather"/s, 'definitions arrived');
    push @history, {
        role => 'assistant', content => $s->{text},
        tool_calls => [ map { { id => $_->{id}, type => 'function',
            function => { name => $_->{name}, arguments => json($_->{input}) } } } @{ $s->{tools} } ],
    };
    push @history, map { { role => 'tool', tool_call_id => $_->{id}, content => "result of $_->{name}" } } @{ $s->{tools} };
    $r = $t->openai([@history], stream => $stream, body => { tools => \@openai });
    $s = $stream ? $t->openai_stream($r, "openai $way, result") : $t->openai_object($r, "openai $way, result");
    like($s->{text}, qr/^Tool result: .*result of get_weather/s, 'the model saw the first result');
    like($s->{text}, qr/result of get_time/, 'and the second');

    $call = scripted({ text => 'Let me look.', tools => [ { input => \%input, split => 4 }, { name => 'get_time', input => {} } ] });
    @history = ({ role => 'user', content => $call });
    $r = $t->anthropic([@history], stream => $stream, body => { tools => \@anthropic });
    $s = $stream ? $t->anthropic_stream($r, "anthropic $way, call") : $t->anthropic_object($r, "anthropic $way, call");
    push @history, { role => 'assistant', content => [ { type => 'text', text => $s->{text} },
        map { { type => 'tool_use', %$_ } } @{ $s->{tools} } ] };
    push @history, { role => 'user', content => [
        { type => 'tool_result', tool_use_id => $s->{tools}[0]{id}, content => 'sunny' },
        { type => 'tool_result', tool_use_id => $s->{tools}[1]{id}, is_error => JSON::PP::true,
            content => [ { type => 'text', text => 'the clock is broken' } ] },
    ] };
    $r = $t->anthropic([@history], stream => $stream, body => { tools => \@anthropic });
    $s = $stream ? $t->anthropic_stream($r, "anthropic $way, result") : $t->anthropic_object($r, "anthropic $way, result");
    like($s->{text}, qr/^Tool result: sunny.*the clock is broken/s, 'the model saw both results');
    my $results = last_seen()->{body}{conversationState}{currentMessage}{userInputMessage}{userInputMessageContext}{toolResults};
    is(@{ $results // [] }, 2, 'two results went up');
    is(lc($results->[1]{status} // ''), 'error', 'the second one as an error');
}

# A call whose input is cut or broken must not look like a good one.
for my $what ([ 'toolcut', 'cut' ], [ 'badtool', 'broken' ]) {
    my ($plan, $name) = @$what;
    my $r = $t->openai(scripted($plan), body => { tools => \@openai });
    if ($r->{status} == 200) {
        my $o = $t->openai_object($r, "openai, $name call, collected");
        is_deeply([ grep { ref $_->{input} ne 'HASH' } @{ $o->{tools} } ], [], 'no call without an object');
    }
    else { $t->error_shape($r, 'openai', 502, "openai, $name call, collected") }
    $r = $t->anthropic(scripted($plan), stream => 1, body => { tools => \@anthropic });
    if ($r->{status} == 200) { $t->anthropic_stream($r, "anthropic, $name call, streamed") }
    else                     { $t->error_shape($r, 'anthropic', 502, "anthropic, $name call, streamed") }
}

# Too many for the service, perhaps: whoever operates us must see why requests fail.
for my $n (120, 121) {
    my @many = map { { name => "tool_$_", description => "does $_", input_schema => $schema } } 1 .. $n;
    my $r = $t->anthropic("$n tools", body => { tools => \@many });
    $t->anthropic_object($r, "$n tools");
}
is_deeply([ map { /kiro: the request has (\d+) tools/ ? $1 : () } $t->grep_log(qr/\[warn\].* tools/) ], [121],
    'one warning, for the request with more than 120 tools');

$t->done;
