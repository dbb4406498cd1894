use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;

# Codex without a person, over the Responses API: its tools really run.

my $codex = program('codex', '@openai/codex-linux-%s/vendor/*/bin/codex');
my $t     = gateway(location => 'kiro_model_alias gpt-5.5 claude-sonnet-4.5;')->start;
my $home  = "$t->{dir}/files";

# {events, text}; "seen": how many requests went up before.
sub codex {
    my ($name, $model, @arguments) = @_;
    my $seen = () = $t->seen;
    open my $config, '>', "$home/config.toml" or die "$home/config.toml: $!";
    print {$config} <<"EOT";
model = "$model"
model_provider = "local"
check_for_update_on_startup = false
[model_providers.local]
name = "local"
base_url = "http://127.0.0.1:$t->{port}/v1"
env_key = "LOCAL_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 2
[analytics]
enabled = false
EOT
    close $config;
    my $r = run_client($t, [
        $codex, 'exec', '--json', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', @arguments,
    ], seconds => 60, env => { CODEX_HOME => $home, LOCAL_KEY => $t->{key} });
    my @events = map { eval { json($_) } // () } split /\n/, $r->{out};
    is($r->{status}, 0, "$name: it ended well") or diag("$r->{out}\n$r->{err}");
    my ($text) = map { $_->{item}{text} } grep { $_->{type} eq 'item.completed' && $_->{item}{type} eq 'agent_message' } reverse @events;
    return { events => \@events, text => $text, seen => $seen };
}

sub call { my ($name, %input) = @_; return { name => $name, input => \%input, split => 3 } }
sub run { return call('exec_command', cmd => $_[0]) }

for my $model ('claude-sonnet-4.5', 'claude-opus-4.6', 'deepseek-3.2') {
    # Three steps: two calls at once, one more, then the answer.
    my $last = { reasoning => { text => 'Enough.' }, text => "all done with $model" };
    my $next = { text => 'Now I look.', tools => [ run("cat $model.txt; " . says($last)) ] };
    my $r = codex($model, $model, scripted({
        reasoning => { text => 'I write it and look at it.' },
        text      => 'I write it.',
        tools     => [ run("echo made by \x{fc} >$model.txt"), run(says($next)) ],
    }));
    is($r->{text}, "all done with $model", "$model: the last answer");
    my @results = results($t, $r->{seen});
    is(scalar @results, 3, "$model: three requests");
    like($results[2], qr/made by \x{fc}/, "$model: the file's text went up as a result");

    # The second prompt of the same conversation.
    $r = codex("$model, resumed", $model, 'resume', '--last', scripted({ words => 4 }));
    is($r->{text}, 'word1 word2 word3 word4', "$model: the second answer");
    my $state = ($t->seen)[-1]{body}{conversationState};
    is(scalar(map { @{ $_->{assistantResponseMessage}{toolUses} // [] } } @{ $state->{history} }), 3,
        "$model: the calls are in the history");
}

# A tool of a namespace: the call reaches the client's own tool.
{
    my $r = codex('namespace', 'claude-sonnet-4.5', scripted({
        tools => [ call('multi_agent_v1__spawn_agent', message => scripted({ words => 3 })) ] }));
    my ($agent) = grep { $_->{type} eq 'item.completed' && ($_->{item}{tool} // '') eq 'spawn_agent' } @{ $r->{events} };
    is($agent && $agent->{item}{status}, 'completed', 'namespace: the agent was started') or diag json($r->{events});
}

# An answer of a given shape.
{
    open my $schema, '>', "$home/schema.json" or die $!;
    print {$schema} '{"type":"object","properties":{"answer":{"type":"integer"}},"required":["answer"],"additionalProperties":false}';
    close $schema;
    my $r = codex('--output-schema', 'claude-sonnet-4.5', '--output-schema', "$home/schema.json", scripted({ text => "```json\n{\"answer\":42}\n```" }));
    is_deeply(eval { json($r->{text}) }, { answer => 42 }, '--output-schema: the object') or diag $r->{text};
}

# Models it knows have free-form tools: one for patches, or one that runs a program which calls the other tools.
{
    my $patch = "*** Begin Patch\n*** Add File: patched.txt\n+it's \"patched\"\n*** End Patch\n";
    my $r = codex('apply_patch', 'gpt-5.5', scripted({ tools => [ call('apply_patch', input => $patch) ] }));
    my $file = "$home/patched.txt";
    ok(-e $file, 'apply_patch: it was applied') or diag json($r->{events});
    is(do { local (@ARGV, $/) = $file; -e $file ? <> : '' }, "it's \"patched\"\n", 'apply_patch: the text');

    $r = codex('exec', 'gpt-5.6-sol', scripted({ tools => [ call('functions__exec',
        input => 'text(JSON.stringify(await tools.exec_command({cmd: "echo made-by-$((40+2))"})))') ] }));
    like($r->{text}, qr/made-by-42/, 'exec: the last answer') or diag json($r->{events});
}

# A broken stream is repeated.
{
    my $r = codex('broken stream', 'claude-sonnet-4.5', scripted('mid', 'ok'));
    like($r->{text}, qr{^You said: }, 'broken stream: the answer');
}

accepted($t);
$t->done;
