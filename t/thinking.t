use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Reasoning: how models are asked for it, what of it goes back to them, and what happens when the service refuses either.

my $t = Test::Kiro->new(
    location => 'kiro_retries 0;',
    http     => <<'EOT',
    kiro_account other {
        credentials_file %%CREDENTIALS%%;
        state_path %%STATE%%;
        endpoint %%SCHEME%%://kiro_runtime;
        auth_endpoint %%ENDPOINT%%;
        management_endpoint %%ENDPOINT%%;
        ssl_trusted_certificate %%CA%%;
        ssl_name localhost;
    }
EOT
    server => <<'EOT',
        location /other/v1/  { kiro_pass other; }
        location /off/v1/    { kiro_pass main; kiro_thinking off; }
        location /tags/v1/   { kiro_pass main; kiro_thinking tags; }
        location /native/v1/ { kiro_pass main; kiro_thinking native; }
EOT
)->start;

my $n = 0;
my %adaptive = (model => 'claude-opus-4-6', thinking => { type => 'adaptive' });
my $tools = [ { name => 'get_weather', description => 'Weather.', input_schema => { type => 'object', properties => {} } } ];

sub sent { return ($t->seen)[-1]{body} }
sub fields { return sent()->{additionalModelRequestFields} }
sub said { return sent()->{conversationState}{currentMessage}{userInputMessage}{content} }
sub thoughts {
    return [ grep { defined } map { $_->{assistantResponseMessage}{reasoningContent} }
            @{ sent()->{conversationState}{history} // [] } ];
}

sub anthropic {
    my ($what, $name, %o) = @_;
    my $body = { %adaptive, %{ delete $o{body} // {} } };
    my $r = $t->anthropic($what, %o, body => $body);
    $n++;
    return $o{stream} ? $t->anthropic_stream($r, $name) : $t->anthropic_object($r, $name);
}

# Natively, by tags, and not at all.
my $thought = 'First I read the question. Then I answer it.';
for my $stream (0, 1) {
    my $way = $stream ? 'streamed' : 'collected';
    my $s = anthropic(scripted('reasoning'), "native, $way", stream => $stream);
    is($s->{thinking}, $thought, 'the client sees it');
    is_deeply(fields(), { thinking => { type => 'adaptive', display => 'summarized' }, output_config => { effort => 'high' } },
        'the fields of the model');
    is(scalar(grep { ($_->{signature} // '') =~ /^kr1s/ } @{ $s->{blocks} }), 1, 'one sealed block');

    my $tagged = "<thinking>$thought</thinking>\n\nFour.";
    $s = anthropic(scripted({ text => $tagged }), "tags, $way", stream => $stream, body => { model => 'claude-sonnet-4-5' });
    is_deeply([ @$s{qw(thinking text)} ], [ $thought, 'Four.' ], 'reasoning and answer');
    is(fields(), undef, 'no field');
    like(said(), qr/^<thinking_mode>enabled<\/thinking_mode><max_thinking_length>20000</, 'but tags');
    $s = anthropic(scripted('reasoning'), "tags by the operator, $way", stream => $stream, path => '/tags/v1/messages');
    is(fields(), undef, 'no field');
    like(said(), qr/^<thinking_mode>/, 'but tags');

    $s = anthropic(scripted('reasoning'), "off, $way", stream => $stream, path => '/off/v1/messages');
    is($s->{thinking}, '', 'the client sees nothing');
    is_deeply(fields(), { thinking => { type => 'disabled' } }, 'the model is told not to');
    $s = anthropic(scripted('ok'), "native only, $way", stream => $stream, path => '/native/v1/messages',
        body => { model => 'claude-sonnet-4-5' });
    unlike(said(), qr/thinking/, 'no tags');

    my $r = $t->openai(scripted('late'), stream => $stream, body => { model => 'gpt-5.6-sol', reasoning_effort => 'minimal' });
    $n++;
    $s = $stream ? $t->openai_stream($r, "openai, $way") : $t->openai_object($r, "openai, $way");
    is_deeply(fields(), { reasoning => { effort => 'low' } }, 'an effort for GPT');
    $r = $t->openai(scripted('ok'), stream => $stream, body => { model => 'gpt-5.6-sol' });
    $n++;
    is(fields(), undef, 'nothing asked, nothing sent');
}

# What the service refuses is taken out, and the client never knows.
my %fields = (status => 400, message => 'additionalModelRequestFields is not supported for this model');
my %schema = (status => 400, message => "property 'thinking' is not defined in the schema and the schema does not allow "
        . 'additional properties');
my %member = (exception => { type => 'validationError', message => "property 'thinking.type' is odd",
        reason => 'REQUEST_BODY_INVALID', before => JSON::PP::true });
for my $refusal (\%fields, \%schema, \%member) {
    for my $stream (0, 1) {
        my $name = ($refusal->{message} // 'in the stream') . ($stream ? ', streamed' : ', collected');
        my $s = anthropic(scripted($refusal, 'ok'), $name, stream => $stream);
        like($s->{text}, qr/^You said/, 'the answer');
        is(fields(), undef, 'the second request has no fields');
        my $log = $t->last_access($n);
        is($log->{attempts}, 2, '$kiro_attempts');
        is($log->{why}, 'drop_fields', '$kiro_retry_reason');
        is($log->{error} =~ s/^-$//r, '', '$kiro_error');
    }
}
my $r = $t->anthropic(scripted(\%fields), body => {%adaptive});
$t->error_shape($r, 'anthropic', 400, 'refused for ever');
is($t->last_access(++$n)->{attempts}, 2, 'one more attempt');
$r = $t->anthropic(scripted(\%fields, 'ok'));
$t->error_shape($r, 'anthropic', 400, 'refused without fields');
is($t->last_access(++$n)->{attempts}, 1, 'no more attempts');

# A session with tools: the simulator checks every signature.
for my $stream (0, 1) {
    my $way = $stream ? 'streamed' : 'collected';
    my $plan = { reasoning => { text => "Wo? \x{2014} \"Paris\"\n\x{1f600}", signature => [ 'EpSIM' . $stream . '+/', 'x==' ] },
        text => 'Let me look.', tools => [ { name => 'get_weather', input => {} } ] };
    my %o = (stream => $stream, body => { tools => $tools });
    my $s = anthropic(scripted($plan), "call, $way", %o);
    my @result = map { { role => 'user', content => [ { type => 'tool_result', tool_use_id => $_->{id}, content => 'sunny' } ] } }
        @{ $s->{tools} };
    my $first = { role => 'user', content => 'What about Paris? ' . scripted('ok') };
    my @history = ($first, { role => 'assistant', content => $s->{blocks} }, @result);
    my $second = anthropic([@history], "result, $way", %o);
    like($second->{text}, qr/^Tool result: sunny/, 'accepted');
    is($t->last_access($n)->{attempts}, 1, 'at the first attempt');
    is_deeply(thoughts(), [ { reasoningText => { text => $plan->{reasoning}{text}, signature => "EpSIM$stream+/x==" } } ],
        'text and signature are those of the service');
    my $before = json(sent()->{conversationState}{history}[1]);

    push @history, { role => 'assistant', content => $second->{blocks} }, { role => 'user', content => scripted('ok') };
    anthropic([@history], "a third turn, $way", %o);
    is(json(sent()->{conversationState}{history}[1]), $before, 'the same bytes again');

    my @altered = map { { %$_ } } @{ $s->{blocks} };
    $altered[0]{thinking} .= ' Paris!';
    anthropic([ $first, { role => 'assistant', content => \@altered }, @result ], "altered text, $way", %o);
    is_deeply(thoughts(), [], 'it stays here');
    @altered = map { { %$_ } } @{ $s->{blocks} };
    $altered[0]{signature} =~ s/x==$/y==/;
    anthropic([ $first, { role => 'assistant', content => \@altered }, @result ], "altered signature, $way", %o);
    is_deeply(thoughts(), [], 'it stays here');
    $altered[0]{signature} = 'ErUBCkYIBRgCKkB=';
    anthropic([ $first, { role => 'assistant', content => \@altered }, @result ], "foreign signature, $way", %o);
    is_deeply(thoughts(), [], 'it stays here');
    for my $path ('/other/v1/messages', '/off/v1/messages', '/tags/v1/messages') {
        anthropic([@history], "$path, $way", %o, path => $path);
        is_deeply(thoughts(), [], 'nothing of another account or mode');
        is($t->last_access($n)->{attempts}, 1, 'at the first attempt');
    }
    anthropic([@history], "another model, $way", %o, body => { %{ $o{body} }, model => 'claude-opus-4-7' });
    is_deeply(thoughts(), [], 'nothing of another model');

    # The service may know better.
    my @last = (@history[ 0 .. $#history - 1 ]);
    my %gone = (status => 400, reason => 'THINKING_SIGNATURE_INVALID', message => 'Invalid signature in thinking block.');
    for my $refusal (\%gone, { exception => { type => 'validationError', %gone{qw(reason message)}, before => JSON::PP::true } }) {
        my $again = anthropic([ @last, { role => 'user', content => scripted($refusal, 'ok') } ], "refused, $way", %o);
        like($again->{text}, qr/^You said/, 'the answer');
        is_deeply(thoughts(), [], 'without reasoning');
        ok(fields(), 'but still asked to think');
        my $log = $t->last_access($n);
        is($log->{attempts}, 2, '$kiro_attempts');
        is($log->{why}, 'drop_reasoning', '$kiro_retry_reason');
    }

    # Both at once.
    my $both = anthropic([ @last, { role => 'user', content => scripted(\%gone, \%fields, 'ok') } ], "both refused, $way", %o);
    like($both->{text}, qr/^You said/, 'the answer');
    is($t->last_access($n)->{attempts}, 3, 'three attempts');

    # GPT: what only the model can read comes last.
    $s = anthropic(scripted('late'), "opaque, $way", stream => $stream, body => { model => 'gpt-5.6-sol' });
    my ($opaque) = grep { $_->{type} eq 'redacted_thinking' } @{ $s->{blocks} };
    like($opaque->{data} // '', qr/^kr1p/, 'it is sealed');
    anthropic([ { role => 'user', content => 'x' }, { role => 'assistant', content => $s->{blocks} },
            { role => 'user', content => scripted('ok') } ], "opaque goes back, $way", stream => $stream,
        body => { model => 'gpt-5.6-sol' });
    is(thoughts()->[0]{reasoningText}{text}, '...', 'in the form of the service');
    like(thoughts()->[0]{reasoningText}{signature}, qr/^EpSIM/, 'with its signature');
}

# Conversations by headers of clients; without one, those that begin alike are the same.
my $beginning    = scripted(('ok') x 12);
my $conversation = sub {
    my (@headers) = @_;
    $t->openai_object($t->openai($beginning, headers => [@headers]), "@headers");
    return $t->last_access(++$n)->{conversation};
};
my @claude = ('x-claude-code-session-id', 'c1');
my $main   = $conversation->(@claude);
is($conversation->(@claude), $main, 'one session, one conversation');
my $agent = $conversation->(@claude, 'x-claude-code-agent-id', 'a1');
isnt($agent, $main, 'a sub-agent has its own');
isnt($conversation->(@claude, 'x-claude-code-agent-id', 'a2'), $agent, 'so has the next one');
my $thread = $conversation->('session-id', 's1', 'thread-id', 't1');
is($conversation->('thread-id', 't1'), $thread, 'a thread counts more than its session');
isnt($conversation->('session-id', 's1'), $thread, 'a session alone');
is($conversation->('x-session-id', 'o1'), $conversation->('x-session-id', 'o1'), 'x-session-id');
is($conversation->('x-session-id', 'x' x 300), $conversation->(), 'too long to be one');

$t->done;
