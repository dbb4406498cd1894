use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# OpenAI Responses: streamed and collected, tools of all kinds, what is repeated,
# what is refused.

my $vectors = Test::Kiro::root() . '/gtest/data/vectors';
my $t = Test::Kiro->new(
    account => 'quota_retry off;',
    location => 'kiro_read_timeout 800ms; kiro_first_token_timeout 2s; kiro_ping_interval 100ms;',
    server   => <<"EOT",
        location /filter/ { alias $vectors/; kiro_filter responses; types { application/vnd.amazon.eventstream bin; } }
        location = /v1/denied/responses { deny all; kiro_pass main; }
EOT
)->start;

sub both {
    my ($what, $name, %o) = @_;
    my $s = $t->responses_stream($t->responses($what->(), stream => 1, %o), "$name, streamed");
    my $c = $t->responses_object($t->responses($what->(), %o), "$name, collected");
    return ($s, $c);
}

# --- text ----------------------------------------------------------------------

my @answers = (
    [ 'words',   { words => 7 }, join ' ', map { "word$_" } 1 .. 7 ],
    [ 'escapes', { text => "a\"b\\c\n\t\x01/é漢😀\x{2028}" }, "a\"b\\c\n\t\x01/é漢😀\x{2028}" ],
    [ 'ascii',   { text => "é漢😀 responses", ascii => JSON::PP::true, chunk => 1 }, "é漢😀 responses" ],
    [ '300 kB',  { bytes => 300_000, piece => 3000 }, undef, 300_000 ],
);
for (@answers) {
    my ($name, $plan, $text, $length) = @$_;
    my ($s, $c) = both(sub { scripted($plan) }, $name);
    for ($s, $c) {
        if (defined $text) { is($_->{text}, $text, 'the text') }
        else               { is(length $_->{text}, $length, 'the length') }
        is($_->{status}, 'completed', 'status');
        is($_->{model}, 'claude-sonnet-4.5', 'the model that was asked for');
        cmp_ok($_->{usage}{output_tokens}, '>', 0, 'usage');
    }
}

my $r = $t->responses(scripted({ words => 4 }), stream => 1);
my $s = $t->responses_stream($r, 'headers');
is(scalar @{ $s->{texts} }, 4, 'one delta a word');
like($r->header('x-request-id'),  qr/^\S{8,}$/, 'x-request-id');
like($r->header('cache-control'), qr/no-cache/, 'cache-control');
my $line = $t->last_access($t->access);
is($line->{api},    'responses', '$kiro_api');
is($line->{stop},   'completed', '$kiro_stop_reason');
is($line->{output}, $s->{usage}{output_tokens}, '$kiro_output_tokens');

$s = $t->responses_stream($t->responses(scripted({ words => 3, silence_ms => 500, silence_at => 2 }), stream => 1), 'pings');
cmp_ok($s->{comments}, '>', 0, 'pings are comments');

$s = $t->responses_stream($t->responses(scripted('500', 'ok'), stream => 1), 'a retried attempt is invisible');
like($s->{text}, qr/^You said: /, 'the second answer');

$s = $t->responses_stream($t->responses(scripted('notail'), stream => 1), 'no tail');
is($s->{status}, 'incomplete',        'an answer that was cut is incomplete');
is($s->{why},    'max_output_tokens', 'and why');

# --- reasoning ------------------------------------------------------------------

my %think = (reasoning => { effort => 'low', summary => 'auto' });
my ($rs, $rc) = both(sub { scripted('reasoning') }, 'reasoning', body => { model => 'claude-sonnet-4.6', %think });
for ($rs, $rc) {
    is($_->{reasoning}, 'First I read the question. Then I answer it.', 'the summary');
    is_deeply([ map { $_->{type} } @{ $_->{items} } ], [ 'reasoning', 'message' ], 'in front of the message');
    is_deeply($_->{response}{reasoning}, $think{reasoning}, 'what was asked is repeated');
}
is($t->responses_object($t->responses(scripted('reasoning'), body => { model => 'claude-sonnet-4.6' }), 'unasked')->{reasoning},
    '', 'no reasoning for a client that does not ask');

# --- tools ----------------------------------------------------------------------

my $schema = { type => 'object', properties => { city => { type => 'string' } }, required => ['city'] };
my @tools = (
    { type => 'function', name => 'get_weather', description => 'the weather', parameters => $schema, strict => JSON::PP::false },
    { type => 'custom', name => 'apply_patch', description => 'edits files',
        format => { type => 'grammar', syntax => 'lark', definition => 'start: "*** Begin Patch" LF' } },
    { type => 'namespace', name => 'agents', description => 'helpers',
        tools => [ { type => 'function', name => 'spawn', description => 'starts one', parameters => $schema } ] },
    { type => 'web_search' },
);
my %echo = (tools => \@tools, metadata => { k => "v\n" }, tool_choice => 'auto', parallel_tool_calls => JSON::PP::true,
    instructions => 'Be kind.', store => JSON::PP::false, text => { verbosity => 'low' });

for my $stream (0, 1) {
    my $way  = $stream ? 'streamed' : 'collected';
    my $plan = scripted({ text => 'Let me look.', tools => [
        { name => 'get_weather',   input => { city => "Paris \"é\"\n" }, split => 4 },
        { name => 'apply_patch',   input => { input => "*** Begin Patch\n\"x\" é\n*** End Patch\n" }, split => 3 },
        { name => 'agents__spawn', input => { city => 'Oslo' } },
    ] });
    my @input = ({ type => 'message', role => 'user', content => [ { type => 'input_text', text => $plan } ] });
    my $ask = sub {
        my ($name) = @_;
        my $answer = $t->responses([@input], stream => $stream, body => {%echo});
        return $stream ? $t->responses_stream($answer, "$name, $way") : $t->responses_object($answer, "$name, $way");
    };
    my $a = $ask->('three tools');
    is($a->{text}, 'Let me look.', 'the text');
    is_deeply([ map { [ @$_{qw(type name namespace input)} ] } @{ $a->{tools} } ], [
        [ 'function_call', 'get_weather', undef, { city => "Paris \"é\"\n" } ],
        [ 'custom_tool_call', 'apply_patch', undef, "*** Begin Patch\n\"x\" é\n*** End Patch\n" ],
        [ 'function_call', 'spawn', 'agents', { city => 'Oslo' } ],
    ], 'the calls as the client knows the tools');
    is_deeply($a->{response}{$_}, $echo{$_}, "$_ is repeated") for sort keys %echo;

    my $sent = ($t->seen)[-1]{body}{conversationState};
    my $offered = $sent->{currentMessage}{userInputMessage}{userInputMessageContext}{tools};
    is_deeply([ map { $_->{toolSpecification}{name} } @$offered ], [qw(get_weather apply_patch agents__spawn)],
        'what the model was offered');
    like($offered->[1]{toolSpecification}{description}, qr/Begin Patch/, 'with the grammar');
    like(json($sent), qr/Be kind\./, 'instructions arrived');

    # The whole output goes back, as clients without a store do it.
    push @input, @{ $a->{items} };
    push @input, map { { type => $_->{type} . '_output', call_id => $_->{id}, output => "result of $_->{name}" } } @{ $a->{tools} };
    my $b = $ask->('results');
    like($b->{text}, qr/^Tool result: .*result of get_weather/s, 'the model saw the first result');
    like($b->{text}, qr/result of apply_patch/, 'the second');
    like($b->{text}, qr/result of spawn/, 'and the third');
    push @input, @{ $b->{items} }, { role => 'user', content => 'And now? ' . scripted({ words => 2 }) };
    is($ask->('a third turn')->{text}, 'word1 word2', 'the next turn is answered');
    my $history = ($t->seen)[-1]{body}{conversationState}{history};
    is_deeply([ map { $_->{name} } @{ $history->[1]{assistantResponseMessage}{toolUses} } ],
        [qw(get_weather apply_patch agents__spawn)], 'history has the same names');
}

# --- errors -----------------------------------------------------------------------

my @refused = (
    [ {}, 400, undef, 'input' ],
    [ { input => [ { type => 'hologram' } ] }, 400, 'invalid_value', 'input[0].type' ],
    [ { input => [ { role => 'user', content => 'x' }, { type => 'item_reference', id => 'msg_1' } ] }, 404, undef, 'input' ],
    [ { input => 'x', previous_response_id => 'resp_1' }, 400, 'previous_response_not_found', 'previous_response_id' ],
    [ { input => 'x', conversation => 'conv_1' }, 400, 'unsupported_value', 'conversation' ],
    [ { input => 'x', background => JSON::PP::true }, 400, 'unsupported_value', 'background' ],
    [ { input => 'x', tool_choice => { type => 'function', name => 'none' } }, 400, 'invalid_value', 'tool_choice.name' ],
);
for (@refused) {
    my ($body, $status, $code, $param) = @$_;
    my $answer = ($t->run($t->exchange('POST', '/v1/responses', { model => 'claude-sonnet-4.5', stream => JSON::PP::true, %$body })))[0];
    my $e = $t->error_shape($answer, 'openai', $status, json($body));
    is($e->{param}, $param, 'param');
    is($e->{code}, $code, 'code') if defined $code;
}
my $e = $t->error_shape($t->responses(scripted('overflow'), stream => 1), 'openai', 400, 'overflow');
is($e->{code},  'context_length_exceeded', 'code of an overflow');
is($e->{param}, 'input',                   'and its place');
$e = $t->error_shape($t->responses(scripted('quota')), 'openai', 429, 'quota');
is($e->{code}, 'insufficient_quota', 'code of a quota');
$t->error_shape($t->responses('denied', path => '/v1/denied/responses'), 'openai', 403, 'refused by nginx');

for my $plan (qw(mid midhang midexc errframe crc)) {
    my $answer = $t->responses(scripted($plan), stream => 1);
    my $x = $t->responses_stream($answer, "$plan, streamed");
    is($x->{status} // '', 'failed', 'the response failed');
    ok(length($x->{error}{code} // ''), 'with a code');
    like($x->{text}, qr/^One/, 'what had come is there');
    ok(!$answer->{error} && $answer->{last_chunk}, 'the response ends cleanly');
}

# A websocket is refused at once; the client then posts.
$r = ($t->run($t->exchange('GET', '/v1/responses', undef, headers =>
    [ Connection => 'Upgrade', Upgrade => 'websocket', 'Sec-WebSocket-Version' => 13, 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' ])))[0];
$t->error_shape($r, 'openai', 405, 'websocket');

# --- kiro_filter ---------------------------------------------------------------------

for my $name (qw(s01_text s02_text_then_tool s03_two_tools s05_native_reasoning s06_opaque_reasoning_last s08_utf8_chunks)) {
    my $x = $t->responses_stream($t->get("/filter/$name.bin"), "filter, $name");
    is($x->{status}, 'completed', 'status');
}
$s = $t->responses_stream($t->get('/filter/n01_bad_prelude_crc.bin'), 'filter, nothing came');
ok($s->{error}, 'an error event');

$t->done;
