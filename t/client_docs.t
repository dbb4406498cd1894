use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Clients;
use Test::Kiro::SSE qw(check_openai check_anthropic);

# What docs/clients.md gives people to paste: each client that can run here runs with those very lines, but for the
# gateway's address and the key. Of the others the requests are sent to the address of their lines.

my $root = Test::Kiro::root();
my $docs = Test::Kiro::slurp("$root/docs/clients.md");

# {client => [{lang, file, text}]}
my %snippets;
while ($docs =~ /^```(\w+) client=([\w-]+)(?: file=(\S+))?\n(.*?)^```$/msg) {
    push @{ $snippets{$2} }, { lang => $1, file => $3, text => $4 };
}
my %tried;

# Directives that the lines for a client put into the location.
my $directives = join "\n", map { $_->{text} } grep { $_->{lang} eq 'nginx' } map { @$_ } map { $snippets{$_} } sort keys %snippets;
my $t = gateway(location => $directives)->start;
my $url = "http://127.0.0.1:$t->{port}";

# The lines for a client, as a person has them who filled in address and key.
sub lines {
    my ($client) = @_;
    $tried{$client} = 1;
    my @own = @{ $snippets{$client} // [] };
    ok(scalar @own, "$client: there is something to paste");
    return map {
        my $text = $_->{text};
        my $places = ($text =~ s{https?://gateway(?::8000|\.example\.com)}{$url}g) + ($text =~ s/\bKEY\b/$t->{key}/g);
        +{ %$_, text => $text, places => $places };
    } @own;
}

# A test of its own, which may be skipped.
sub client {
    my ($name, $run) = @_;
    subtest $name => sub { $run->($name); done_testing };
    return;
}

# --- command line programs -------------------------------------------------

# Puts files where they belong and makes the command that a person types run the program $real with "behind" after
# its own arguments. Then the shell lines run; without any the command itself. "edit" changes the files.
sub pasted {
    my ($client, $command, $real, %o) = @_;
    my $home = "$t->{dir}/files/$client";
    mkdir $_ for $home, "$home/bin", "$home/work";
    my @shell;
    for my $s (lines($client)) {
        if ($s->{file}) {
            my $path = $s->{file} =~ s{^~}{$home}r;
            my ($dir) = $path =~ m{(.*)/};
            system('mkdir', '-p', $dir) == 0 or die "mkdir $dir";
            Test::Kiro::spew($path, $o{edit} ? $o{edit}->($s->{text}) : $s->{text});
        }
        elsif ($s->{lang} eq 'sh') { push @shell, $s->{text} }
    }
    my $quoted = join ' ', map { "'" . s/'/'\\''/gr . "'" } @$real;
    my $behind = join ' ', map { "'" . s/'/'\\''/gr . "'" } @{ $o{behind} // [] };
    Test::Kiro::spew("$home/bin/$command", "#!/bin/sh\nexec $quoted \"\$@\" $behind\n", 0755);
    push @shell, $command unless @shell;
    my $r = run_client($t, [ 'sh', '-e', '-c', join "\n", @shell ], seconds => 90, home => $home, cwd => "$home/work",
        env => { PATH => "$home/bin:$ENV{PATH}", %{ $o{env} // {} } });
    is($r->{status}, 0, "$client: it ended well") or diag("$r->{out}\n$r->{err}");
    return $r;
}

client($_, sub {
    my ($name) = @_;
    my $claude = program('claude-code', '@anthropic-ai/claude-code-linux-%s/claude');
    my $r = pasted($name, 'claude', [$claude], behind => [ '-p', scripted({ text => "it works: $name" }) ], env => {
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC => 1, DISABLE_AUTOUPDATER => 1 });
    like($r->{out}, qr/it works: $name/, "$name: the answer");
}) for qw(claude-code claude-code-env);

client('codex', sub {
    my $codex = program('codex', '@openai/codex-linux-%s/vendor/*/bin/codex');
    my $r = pasted('codex', 'codex', [$codex], behind => [ qw(exec --skip-git-repo-check), scripted({ text => 'it works: codex' }) ]);
    like($r->{out}, qr/it works: codex/, 'codex: the answer');
});

client('opencode', sub {
    my $opencode = program('opencode', 'opencode-linux-%s/bin/opencode');
    $t->sim(POST => 'plan', { name => 'opencode-docs', plan => { text => 'it works: opencode' } });
    my $r = pasted('opencode', 'opencode', [$opencode], behind => [ 'run', '[[sim:opencode-docs]]' ],
        env => { map { ("OPENCODE_DISABLE_$_" => 1) } qw(AUTOUPDATE MODELS_FETCH LSP_DOWNLOAD) });
    like($r->{out}, qr/it works: opencode/, 'opencode: the answer');
});

# Cline leaves a process of its own behind.
sub end_daemons {
    my ($home) = @_;
    for my $environ (glob '/proc/[0-9]*/environ') {
        my ($pid) = $environ =~ /(\d+)/;
        kill KILL => $pid if $pid != $$ && index("\0" . Test::Kiro::slurp($environ), "\0HOME=$home\0") >= 0;
    }
    return;
}

client('cline', sub {
    my $cline = program('cline', '@cline/cli-linux-%s/bin/cline');
    my %quiet = (CLINE_TELEMETRY_DISABLED => 1, CLINE_NO_AUTO_UPDATE => 1, DO_NOT_TRACK => 1);
    my $r = pasted('cline', 'cline', [$cline], env => \%quiet);
    my $home = "$t->{dir}/files/cline";
    # Plans with names, since it brings results back as JSON in a text.
    $t->sim(POST => 'plan', { name => 'cline-docs', plan => { tools => [ { name => 'run_commands', input => { commands => [ 'echo "[[sim:cline-then]]"' ] } } ] } });
    $t->sim(POST => 'plan', { name => 'cline-then', plan => { text => 'it works: cline' } });
    $r = run_client($t, [ $cline, '--json', '[[sim:cline-docs]] please' ], home => $home, cwd => "$home/work", seconds => 90, env => \%quiet);
    end_daemons($home);
    is($r->{status}, 0, 'cline: a task') or diag($r->{err});
    like($r->{out}, qr/it works: cline/, 'cline: the answer behind its tool') or diag($r->{out});
});

client('continue', sub {
    my $node = node(20);
    my $cn = program('continue', '@continuedev/cli/dist/cn.js');
    # As the page has it, and with its other provider.
    my $anthropic = sub { $_[0] =~ s/provider: openai/provider: anthropic/r =~ s{(apiBase: \S+/v1)$}{$1/}mr };
    for my $edit (undef, $anthropic) {
        my $api = $edit ? 'anthropic' : 'openai';
        my $plan = scripted({ tools => [ { name => 'Bash', input => { command => says({ text => "it works: continue, $api" }) } } ] });
        my $r = pasted('continue', 'cn', [ $node, $cn ], behind => [ '--auto', '-p', $plan ], edit => $edit, env => { CONTINUE_TELEMETRY_ENABLED => 0 });
        like($r->{out}, qr/it works: continue, $api/, "continue, $api: the answer behind its tool");
        is(($t->access)[-1]{api}, $api, "continue: over $api");
    }
});

# --- SDKs ------------------------------------------------------------------

for my $name (grep { $snippets{$_}[0]{lang} eq 'js' } sort keys %snippets) {
    client($name, sub {
        my $node = node(20);
        my $home = "$t->{dir}/files";
        symlink "$root/t/clients/node_modules", "$home/node_modules";
        for my $s (lines($name)) {
            is($s->{places}, 2, "$name: address and key");
            my $hello = $s->{text} =~ s/'Hello'/'Hello from $name $$'/;
            Test::Kiro::spew("$home/$name.mjs", $s->{text});
            my $r = run_client($t, [ $node, "$home/$name.mjs" ]);
            ok($hello && $r->{status} == 0, "$name: it ended well") or diag($r->{out}, $r->{err});
            like($r->{out}, qr/You said: Hello from $name/, "$name: the answer");
        }
    });
}

# --- what cannot run here: its requests, as it is known to send them ---------

# Where the lines for a client lead, and with which key.
sub settings {
    my ($client) = @_;
    my ($s) = grep { $_->{lang} ne 'nginx' } lines($client);
    my ($base) = $s->{text} =~ m{(http://127\.0\.0\.1:\d+[\w/]*)} or return fail("$client: an address");
    like($s->{text}, qr/\Q$t->{key}\E/, "$client: a key");
    return ($base =~ s{^\Q$url\E}{}r, $s);
}

sub true  { return JSON::PP::true }
sub false { return JSON::PP::false }

my $serial = 0;
sub hello { return 'Hello ' . ++$serial . " of $$" }
sub user { return [ { role => 'user', content => $_[0] // hello() } ] }

# Python that can be compiled, where there is a Python.
sub compiles {
    my ($s, $client) = @_;
    my $file = Test::Kiro::spew("$t->{dir}/files/$client.py", $s->{text});
    SKIP: {
        skip 'no python3', 1 if system('python3 -c 0 2>/dev/null') != 0;
        is(qx{python3 -c 'import ast,sys; ast.parse(open(sys.argv[1]).read())' $file 2>&1}, '', "$client: it is Python");
    }
    return;
}

sub stainless {
    my ($agent, @more) = @_;
    return [
        'User-Agent' => $agent, Accept => 'application/json', 'Accept-Encoding' => 'gzip, deflate', 'X-Stainless-Lang' => 'python',
        'X-Stainless-Package-Version' => $agent =~ s{.*/}{}r, 'X-Stainless-OS' => 'Linux', 'X-Stainless-Arch' => 'x64',
        'X-Stainless-Runtime' => 'CPython', 'X-Stainless-Runtime-Version' => '3.11.7', 'X-Stainless-Async' => 'false',
        'x-stainless-retry-count' => '0', 'x-stainless-read-timeout' => '600', Authorization => "Bearer $t->{key}", @more,
    ];
}

my %weather = (type => 'object', properties => { city => { type => 'string' } }, required => ['city']);
my $function = { type => 'function', function => { name => 'get_weather', description => 'The weather', parameters => \%weather } };
my $call = { tools => [ { name => 'get_weather', input => { city => 'Oslo' }, split => 3 } ] };

client('openai-python', sub {
    my ($name) = @_;
    my ($base, $s) = settings($name);
    compiles($s, $name);
    my @as = (headers => stainless('OpenAI/Python 3.51.0'));
    my %model = (model => 'claude-sonnet-4.5');
    my $r = $t->post("$base/chat/completions", { %model, messages => user(), stream => true }, @as);
    like($t->openai_stream($r, 'a stream')->{text}, qr/^You said: Hello/, 'a stream: the text');
    $r = $t->post("$base/chat/completions", { %model, messages => user(scripted($call)), tools => [$function], stream => true }, @as);
    is_deeply(json($t->openai_stream($r, 'a tool')->{tools}[0]{arguments}), { city => 'Oslo' }, 'a tool: its arguments');
    $r = $t->post("$base/chat/completions", { %model, messages => user(), tools => [$function] }, @as);
    $t->openai_object($r, 'collected');
    $r = $t->post("$base/responses", { %model, input => hello(), stream => true }, @as);
    $t->responses_stream($r, 'responses');
    my $list = json($t->get("$base/models", @as)->{body});
    ok($list->{object} eq 'list' && (grep { $_->{id} eq 'claude-sonnet-4.5' && $_->{object} eq 'model' } @{ $list->{data} }), 'models');
    $r = $t->post("$base/embeddings", { model => 'any', input => 'x' }, @as);
    $t->error_shape($r, 'openai', 404, 'what there is not');
});

client('anthropic-python', sub {
    my ($name) = @_;
    my ($base, $s) = settings($name);
    is($base, '', 'an address without /v1');
    compiles($s, $name);
    my @as = (headers => stainless('Anthropic/Python 2.10.0', 'anthropic-version' => '2026-10-21', 'X-Stainless-Stream-Helper' => 'messages'));
    my %model = (model => 'claude-sonnet-4.5', max_tokens => 4096);
    my $r = $t->post("$base/v1/messages", { %model, messages => user(), stream => true }, @as);
    like($t->anthropic_stream($r, 'a stream')->{text}, qr/^You said: Hello/, 'a stream: the text');
    my @tools = (tools => [ { name => 'get_weather', description => 'The weather', input_schema => \%weather } ]);
    $r = $t->post("$base/v1/messages", { %model, messages => user(scripted($call)), @tools, stream => true }, @as);
    $t->anthropic_stream($r, 'a tool');
    like($r->{body}, qr/"stop_reason":"tool_use"/, 'a tool: why it ended');
    $t->anthropic_object($t->post("$base/v1/messages", { %model, messages => user(), @tools }, @as), 'collected');
    $r = $t->post("$base/v1/messages/count_tokens", { model => $model{model}, messages => user() }, @as);
    cmp_ok(json($r->{body})->{input_tokens}, '>', 0, 'count_tokens');
    $r = $t->get("$base/v1/models?limit=20", @as);
    is(json($r->{body})->{data}[0]{type}, 'model', 'models, in its shape');
    $t->error_shape($t->post("$base/v1/messages/batches", { requests => [] }, @as), 'anthropic', [ 404, 501 ], 'what there is not');
});

client('langchain-python', sub {
    my ($name) = @_;
    my ($base, $s) = settings($name);
    compiles($s, $name);
    my @as = (headers => stainless('OpenAI/Python 3.51.0'));
    my %model = (model => 'claude-sonnet-4.5');
    my $ask = sub { my (%more) = @_; return $t->post("$base/chat/completions", { %model, messages => user(), stream => false, %more }, @as) };
    $t->openai_object($ask->(), 'invoke');
    $t->openai_stream($ask->(stream => true, stream_options => { include_usage => true }), 'stream', usage => 1);
    my $forced = { type => 'function', function => { name => 'get_weather' } };
    my $r = $t->openai_object($ask->(messages => user(scripted($call)), tools => [$function], tool_choice => $forced, parallel_tool_calls => false),
        'with_structured_output');
    is_deeply([ map { $_->{toolSpecification}{name} } @{ ($t->seen)[-1]{body}{conversationState}{currentMessage}{userInputMessage}{userInputMessageContext}{tools} } ],
        ['get_weather'], 'with_structured_output: one tool');
    my $made = { role => 'assistant', content => undef, tool_calls => [ { id => 'call_1', type => 'function', function => { name => 'get_weather', arguments => '{"city": "Oslo"}' } } ] };
    for my $content (undef, '') {
        $t->openai_object($ask->(tools => [$function], messages => [ @{ user() }, { %$made, content => $content }, { role => 'tool', tool_call_id => 'call_1', content => 'rain' } ]),
            'a result, behind content ' . json([$content]));
    }
});

client('cursor', sub {
    my ($name) = @_;
    my ($base) = settings($name);
    my $post = sub { my ($body, @more) = @_; return $t->post("$base/chat/completions", $body, @more) };
    $t->openai_object($post->({ model => 'my-sonnet', messages => user('Testing. Just say hi and nothing else. ' . hello()), max_tokens => 10, temperature => 0 }), 'the check of the key');
    is(($t->seen)[-1]{body}{conversationState}{currentMessage}{userInputMessage}{modelId}, 'claude-sonnet-4.5', 'a name of its own');
    my %flat = (tools => [ { name => 'get_weather', description => 'The weather', input_schema => \%weather } ]);
    my $r = $post->({ model => 'claude-4.5-sonnet', messages => user(scripted($call)), stream => true, %flat });
    is_deeply(json($t->openai_stream($r, 'flat tools, an inverted name')->{tools}[0]{arguments}), { city => 'Oslo' }, 'flat tools: the arguments');
    my @blocks = (
        { role => 'user', content => [ { type => 'text', text => hello(), cache_control => { type => 'ephemeral' } } ] },
        { role => 'assistant', content => [ { type => 'text', text => 'I look.' }, { type => 'tool_use', id => 'toolu_1', name => 'get_weather', input => { city => 'Oslo' } } ] },
        { role => 'user', content => [ { type => 'tool_result', tool_use_id => 'toolu_1', content => [ { type => 'text', text => 'rain' } ] } ] },
    );
    $r = $post->({ model => 'my-sonnet', messages => \@blocks, stream => true, %flat });
    like($t->openai_stream($r, q{Anthropic's blocks})->{text}, qr/rain/, 'the result arrived');

    # The agent: the body of a Responses request, answered by Chat Completions.
    my $patch = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\n";
    my @agent = (stream => true, store => false, include => ['reasoning.encrypted_content'], stream_options => { include_usage => true }, tools => [
        { type => 'function', name => 'Shell', parameters => { type => 'object', properties => { command => { type => 'string' } } } },
        { type => 'custom', name => 'ApplyPatch', description => 'Edits files.', format => { type => 'grammar', syntax => 'lark', definition => 'start: hunk' } },
    ]);
    my @input = ({ role => 'system', content => 'You are an agent.' },
        { role => 'user', content => [ { type => 'input_text', text => scripted({ tools => [ { name => 'ApplyPatch', input => { input => $patch }, split => 5 } ] }) } ] });
    $r = $post->({ model => 'my-sonnet', input => \@input, @agent });
    my ($made) = @{ $t->openai_stream($r, 'the agent', usage => 1, freeform => 'ApplyPatch')->{tools} };
    is($made->{name}, 'ApplyPatch', 'the agent: a function by its name');
    is($made->{arguments}, $patch, 'the agent: the text as it is');
    unlike($r->{body}, qr/"custom"/, 'the agent: no call of another kind');
    push @input, { type => 'function_call', call_id => $made->{id}, name => 'ApplyPatch', arguments => $patch }, { type => 'function_call_output', call_id => $made->{id}, output => 'patched' };
    $r = $post->({ model => 'my-sonnet', input => \@input, @agent });
    like($t->openai_stream($r, 'the agent, a result', usage => 1)->{text}, qr/patched/, 'the agent: the result arrived');
});

client('open-webui', sub {
    my ($name) = @_;
    my ($base) = settings($name);
    my @as = (headers => [ 'User-Agent' => 'Python/3.11 aiohttp/3.12', Authorization => "Bearer $t->{key}" ]);
    my $list = json($t->get("$base/models", @as)->{body});
    ok((grep { $_->{id} eq 'claude-sonnet-4.5' } @{ $list->{data} }), 'models');
    my %ask = (model => 'claude-sonnet-4.5', stream => true, stream_options => { include_usage => true });
    my %own = (chat_id => 'c1', session_id => 's1', id => 'm1', background_tasks => { title_generation => true, tags_generation => true },
        features => { web_search => false }, variables => { '{{USER_NAME}}' => 'x' }, params => {}, tool_ids => []);
    my $r = $t->post("$base/chat/completions", { %ask, %own, messages => user() }, @as);
    like($t->openai_stream($r, 'a chat', usage => 1)->{text}, qr/^You said: Hello/, 'a chat: the text');
    my @side = map { $t->exchange('POST', "$base/chat/completions", { model => 'claude-haiku-4.5', stream => false, messages => user("### Task: $_\n" . hello()),
        max_completion_tokens => 1000 }, @as) } 'Generate a concise title', 'Generate 1-3 tags', 'Suggest 3-5 follow-up questions';
    $t->run(@side);
    $t->openai_object($_, 'a side request') for @side;
});

# --- the page --------------------------------------------------------------

is_deeply([ sort keys %tried ], [ sort keys %snippets ], 'all that is to be pasted was tried');

# The versions that the page names are those that ran.
my %package = (
    'Claude Code' => [ 'cli/claude-code', '@anthropic-ai/claude-code-linux-x64' ], Codex => [ 'cli/codex', '@openai/codex-linux-x64' ],
    opencode => [ 'cli/opencode', 'opencode-linux-x64' ], Cline => [ 'cli/cline', '@cline/cli-linux-x64' ], Continue => [ 'cli/continue', '@continuedev/cli' ],
    'OpenAI SDK, JavaScript' => [ '.', 'openai' ], 'Anthropic SDK, JavaScript' => [ '.', '@anthropic-ai/sdk' ], 'AI SDK' => [ '.', 'ai' ],
    'LangChain, JavaScript' => [ '.', '@langchain/openai' ],
);
my %named;
while ($docs =~ /^\| \[([^\]]+)\]\([^)]*\) \| [^|]+ \| (real|replayed)\b[^|]*?([\d.]*) \|/mg) { $named{$1} = "$2 $3" }
for my $client (sort keys %package) {
    my ($dir, $name) = @{ $package{$client} };
    my $of = json(Test::Kiro::slurp("$root/t/clients/$dir/package.json"));
    my ($version) = ($of->{dependencies}{$name} // $of->{optionalDependencies}{$name}) =~ /(\d+\.\d+\.\d+)/;
    is(delete $named{$client}, "real $version", "$client: the version that the page names");
}
is_deeply([ grep { $named{$_} ne 'replayed ' } sort keys %named ], [], 'the others are replayed');

accepted($t);
$t->done;
