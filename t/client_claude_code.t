use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# Claude Code without a person: its tools really run, by model names with and without "claude".

my $claude = program('claude-code', '@anthropic-ai/claude-code-linux-%s/claude');
my $t      = gateway()->start;
my $home   = "$t->{dir}/files";

# Ends in {result, ...}; "seen": how many requests went up before.
sub claude {
    my ($name, $prompt, @more) = @_;
    my $seen = () = $t->seen;
    my $r = run_client($t, [
        $claude, '-p', $prompt, '--output-format', 'json', '--allowedTools', qw(Agent Bash Read Write Edit ToolSearch WebSearch), @more,
    ], seconds => 60, env => {
        ANTHROPIC_BASE_URL => "http://127.0.0.1:$t->{port}", ANTHROPIC_API_KEY => $t->{key}, API_TIMEOUT_MS => 30000,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC => 1, DISABLE_TELEMETRY => 1, DISABLE_AUTOUPDATER => 1,
        DISABLE_ERROR_REPORTING => 1,
    });
    my $result = eval { json($r->{out}) } // {};
    ok(defined $r->{status} && $r->{status} == 0 && !$result->{is_error}, "$name: it ended well")
        or diag($r->{status} // 'took too long', "\n$r->{out}$r->{err}");
    return { %$result, seen => $seen };
}

sub call { my ($name, %input) = @_; return { name => $name, input => \%input, split => 3 } }
sub bash { return call('Bash', command => $_[0], description => 'run') }

for my $model ('claude-sonnet-4.5', 'claude-opus-4-6', 'deepseek-3.2') {
    # Three steps: two calls at once, then a file is read back, then the answer.
    my $last = { reasoning => { text => 'Enough.' }, text => "all done with $model" };
    my $next = {
        text  => 'Now I look.',
        tools => [ call('Read', file_path => "$home/$model.txt"), bash(says($last)) ],
    };
    my $r = claude($model, scripted({
        reasoning => { text => 'I write it and look at it.' },
        text      => 'I write it.',
        tools     => [ call('Write', file_path => "$home/$model.txt", content => "made by \x{fc}\n"), bash(says($next)) ],
    }), '--model', $model);
    is($r->{result}, "all done with $model", "$model: the last answer");
    is($r->{num_turns}, 5, "$model: turns");
    my @results = results($t, $r->{seen});
    is(scalar @results, 3, "$model: three requests");
    like($results[2], qr/made by \x{fc}/, "$model: the file's text went up as a result");

    # The second prompt of the same conversation.
    $r = claude("$model, continued", scripted({ words => 4 }), '--model', $model, '--continue');
    is($r->{result}, 'word1 word2 word3 word4', "$model: the second answer");
    my $state = ($t->seen)[-1]{body}{conversationState};
    is(scalar(map { @{ $_->{assistantResponseMessage}{toolUses} // [] } } @{ $state->{history} }), 4,
        "$model: the calls are in the history");
}

# A tool whose schema it loads when it is wanted, and which asks for a search by a request of its own.
{
    my $r = claude('WebSearch', scripted({ tools => [
        call('ToolSearch', query => 'select:WebSearch', max_results => 1),
        bash(says({ tools => [ call('WebSearch', query => 'red fox habits') ] })),
    ] }), '--model', 'claude-sonnet-4.5');
    my $context = ($t->seen)[-1]{body}{conversationState}{currentMessage}{userInputMessage}{userInputMessageContext};
    my %declared = map { $_->{toolSpecification}{name} => 1 } grep { $_->{toolSpecification} } @{ $context->{tools} };
    ok($declared{WebSearch}, 'ToolSearch: the tool it found is declared') or diag join ' ', sort keys %declared;
    is(scalar @{ $t->sim(GET => 'log?op=search') }, 1, 'WebSearch: one search');
    like($r->{result}, qr{https://example\.com/2}, 'WebSearch: what was found came back');
}

# A subagent works in the background, in a conversation of its own; its end comes in another turn.
{
    my $r = claude('Agent', scripted({ tools => [ call('Agent', description => 'count', prompt => scripted({ words => 3 }),
        subagent_type => 'general-purpose') ] }), '--model', 'claude-sonnet-4.5');
    like($r->{result}, qr{<result>word1 word2 word3</result>}, 'Agent: its answer came back');
    my %conversations = map { $_->{body}{conversationState}{conversationId} => 1 } ($t->seen)[ $r->{seen} .. ($t->seen) - 1 ];
    is(scalar keys %conversations, 2, 'Agent: two conversations');
}

# Structured output: a tool that it makes up and forces.
{
    my $r = claude('--json-schema', scripted({ tools => [ call('StructuredOutput', answer => 42) ] }),
        '--model', 'claude-sonnet-4.5', '--json-schema',
        '{"type":"object","properties":{"answer":{"type":"integer"}},"required":["answer"]}');
    is_deeply($r->{structured_output}, { answer => 42 }, '--json-schema: the object');
}

# A broken stream is repeated.
{
    my $r = claude('broken stream', scripted('mid', 'ok'), '--model', 'claude-sonnet-4.5');
    like($r->{result}, qr{^You said: }, 'broken stream: the answer');
}

# Its own view of the context, from counts of the input.
{
    my $r = claude('/context', '/context', '--model', 'claude-sonnet-4.5');
    like($r->{result}, qr{System tools}, '/context: the table');
    my @counts = grep { $_->{uri} =~ m{/count_tokens} } $t->access;
    cmp_ok(scalar @counts, '>', 3, '/context: it counted');
    is_deeply([ grep { $_->{status} != 200 } @counts ], [], '/context: every count was answered');
}

# With a bearer token, the models of the gateway and the mark of a long context.
{
    my $r = run_client($t, [ $claude, '-p', scripted({ words => 3 }), '--model', 'claude-opus-4-6[1m]' ], env => {
        ANTHROPIC_BASE_URL => "http://127.0.0.1:$t->{port}", ANTHROPIC_AUTH_TOKEN => $t->{key}, API_TIMEOUT_MS => 30000,
        CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY => 1, DISABLE_TELEMETRY => 1, DISABLE_AUTOUPDATER => 1,
        DISABLE_ERROR_REPORTING => 1,
    });
    like($r->{out}, qr{^word1 word2 word3$}m, 'model discovery: the answer') or diag $r->{err};
    my ($models) = grep { $_->{uri} =~ m{^/v1/models} } $t->access;
    is($models && $models->{status}, 200, 'model discovery: the models were listed');
    is(($t->seen)[-1]{body}{conversationState}{currentMessage}{userInputMessage}{modelId}, 'claude-opus-4.6', 'model discovery: the model');
}

accepted($t);
$t->done;
