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

# A call whose input is cut or broken must not look like a good one: it is tried again, and if nothing better comes the
# answer says that it reached its length.
my $whole = [ { tools => [ { input => \%input } ] } ];
my %dialect = (
    openai    => [ sub { $t->openai(@_, body => { tools => \@openai }) }, sub { $t->openai_stream(@_) }, sub { $t->openai_object(@_) }, 'finish', 'length', 'tool_calls' ],
    anthropic => [ sub { $t->anthropic(@_, body => { tools => \@anthropic }) }, sub { $t->anthropic_stream(@_) }, sub { $t->anthropic_object(@_) }, 'stop', 'max_tokens', 'tool_use' ],
    responses => [ sub { $t->responses(@_, body => { tools => [ map { { type => 'function', %{ $_->{function} } } } @openai ] }) },
        sub { $t->responses_stream(@_) }, sub { $t->responses_object(@_) }, 'status', 'incomplete', 'completed' ],
);
my %cut = (
    'without its stop' => { tools => [ { input => { city => 'Paris' }, split => 2, no_stop => JSON::PP::true } ] },
    'that is no JSON'  => { tools => [ { input => '{"city":"Par', split => 2 } ] },
    'that ends with the connection' =>
        { tools => [ { input => { city => 'Paris' }, split => 2, no_stop => JSON::PP::true } ], no_tail => JSON::PP::true },
);
for my $name (sort keys %dialect) {
    my ($ask, $stream, $object, $word, $length, $calls) = @{ $dialect{$name} };
    for my $cut (sort keys %cut) {
        for my $streamed (0, 1) {
            my $read = $streamed ? $stream : $object;
            my $what = "$name, a call $cut, " . ($streamed ? 'streamed' : 'collected');
            my $before = $t->seen;
            my $s = $read->($ask->(scripted($cut{$cut}, $whole->[0]), stream => $streamed), "$what, then whole");
            is($t->seen - $before, 2, 'tried again');
            is_deeply([ map { $_->{input} } @{ $s->{tools} } ], [ \%input ], 'the whole call');
            is($s->{$word}, $calls, $calls);
            $before = $t->seen;
            $s = $read->($ask->(scripted($cut{$cut}), stream => $streamed), $what);
            cmp_ok($t->seen - $before, '>', 1, 'tried again');
            is_deeply($s->{tools}, [], 'no call');
            is($s->{$word}, $length, $length);
            $s = $read->($ask->(scripted({ text => 'Let me see.', %{ $cut{$cut} } }), stream => $streamed), "$what, behind text");
            is_deeply($s->{tools}, [], 'no call');
            is($s->{text}, 'Let me see.', 'the text');
            is($s->{$word}, $length, $length);
        }
    }
}

# Calls that the model writes into its text.
for my $name (sort keys %dialect) {
    my ($ask, $stream, $object, $word, undef, $calls) = @{ $dialect{$name} };
    my %leak = (
        'called'         => '[Called get_weather with args: {"city": "Oslo", "days": 3}]',
        'tool_call'      => '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo", "days": 3}}</tool_call>',
        'function_calls' => "<function_calls>\n<invoke name=\"get_weather\">\n<parameter name=\"city\">Oslo</parameter>\n"
            . "<parameter name=\"days\">3</parameter>\n</invoke>\n</function_calls>",
    );
    for my $form (sort keys %leak) {
        for my $streamed (0, 1) {
            my $what = "$name, $form, " . ($streamed ? 'streamed' : 'collected');
            my $read = $streamed ? $stream : $object;
            my $s = $read->($ask->(scripted({ text => "Let me look.\n\n$leak{$form}\n", piece => 3 }), stream => $streamed), $what);
            is($s->{text}, "Let me look.\n\n", 'the text');
            is_deeply([ map { $_->{input} } @{ $s->{tools} } ], [ { city => 'Oslo', days => 3 } ], 'the call');
            like($s->{tools}[0]{id}, qr/^tooluse_\w+_1$/, 'its id');
            is($s->{$word}, $calls, $calls);
            $s = $read->($ask->(scripted({ text => "As in:\n```\n$leak{$form}\n```", piece => 3 }), stream => $streamed), "$what, quoted");
            is($s->{text}, "As in:\n```\n$leak{$form}\n```", 'the text');
            is_deeply($s->{tools}, [], 'no call');
        }
    }
}
$t->openai([ { role => 'user', content => 'leaked before' }, { role => 'assistant', content => "Well.\n[Called get_time with args: {}]" },
    { role => 'user', content => 'and now' } ], body => { tools => \@openai });
unlike(json(last_seen()->{body}), qr/Called get_time/, 'gone from history');

# One event for each slice of a long input.
my %long = (path => 'a', text => join '', map { chr(0x1f600 + $_ % 64) . "\x{e9}\n\"" } 1 .. 20_000);
for my $name (sort keys %dialect) {
    my ($ask, $stream) = @{ $dialect{$name} };
    my $r = $ask->(scripted({ tools => [ { name => 'get_time', input => \%long, split => 7 } ] }), stream => 1);
    my $s = $stream->($r, "$name, a long call");
    is_deeply($s->{tools}[0]{input}, \%long, 'nothing is lost');
    cmp_ok(scalar(() = $r->{body} =~ /input_json_delta|"arguments":"|arguments\.delta"/g), '>', 50, 'many pieces');
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
