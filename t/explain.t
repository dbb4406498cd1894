use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_explain: what was changed of a request, and why one is refused.

my $t = Test::Kiro->new(
    key  => 'sk-explain',
    http => q(log_format explain escape=json '{"normalized":"$kiro_normalized","status":"$status"}';),
    location => 'kiro_explain on; access_log %%DIR%%/logs/explain.log explain;',
    server   => <<'EOT',
        location /quiet/ {
            kiro_pass main; kiro_client_key sk-explain;
            access_log %%DIR%%/logs/explain.log explain;
        }
        location /pages/ {
            kiro_pass main; kiro_client_key sk-explain; kiro_explain on; kiro_cors_origin *;
        }
EOT
)->start;

my $header = 'x-kiro-normalized';

# The last request's $kiro_normalized, once the log has as many lines.
my $lines = 0;

sub logged {
    my @log;
    $lines++;
    Test::Kiro::wait_for(5 * Test::Kiro::patience(), sub {
        @log = split /\n/, Test::Kiro::slurp("$t->{dir}/logs/explain.log");
        return @log >= $lines;
    });
    return json($log[ $lines - 1 ])->{normalized};
}

# A structured field: rule => [n, path].
sub parsed {
    my ($list, $name) = @_;
    my %rules;
    my $rest = $list // '';
    while ($rest =~ s/^([a-z][a-z0-9-]*)(?:;n=(\d+))?(?:;path="([\x21\x23-\x5b\x5d-\x7e]+)")?(?:, |$)//) {
        $rules{$1} = [ $2 // 1, $3 ];
    }
    is($rest, '', "$name: a structured field");
    cmp_ok(length($list // ''), '<=', 2048, "$name: not too long");
    return \%rules;
}

my @tools = (tools => [ { type => 'function', function => { name => 'find.it', description => 'Finds.',
    parameters => { type => 'object', properties => { how => { type => 'string', pattern => 'SECRET-pattern' } } } } } ]);

# --- what was changed --------------------------------------------------------

for my $stream (0, 1) {
    my $r = $t->openai([ { role => 'user', content => "explain chat $stream" }, { role => 'user', content => 'and more' } ],
        stream => $stream, body => { temperature => 0.5, @tools, SECRET_member => 1 });
    is($r->{status}, 200, "chat, streamed: $stream");
    my $rules = parsed($r->header($header), 'chat');
    is_deeply($rules->{'parameter-ignored'}, [ 1, 'temperature' ], 'a parameter that has no effect');
    is_deeply($rules->{'unknown-member-ignored'}, [ 1, 'SECRET_member' ], 'a member that nobody knows');
    is_deeply($rules->{'message-merged'}, [ 1, 'messages[1]' ], 'neighbours');
    is_deeply($rules->{'tool-renamed'}, [ 1, 'tools[0].function.name' ], 'a name');
    is_deeply($rules->{'schema-keyword-told'}, [ 1, 'tools[0].function.parameters.properties.how.pattern' ], 'a keyword');
    unlike($r->header($header), qr/SECRET-pattern|find/, 'nothing of the contents');
    is(logged(), $r->header($header), '$kiro_normalized is the same');

    $r = $t->anthropic([ { role => 'user', content => "explain messages $stream" },
            { role => 'assistant', content => [ { type => 'tool_use', id => 'a|b', name => 'f', input => {} } ] },
            { role => 'user', content => [ { type => 'tool_result', tool_use_id => 'a|b', content => '' } ] } ], stream => $stream);
    is($r->{status}, 200, "messages, streamed: $stream");
    $rules = parsed($r->header($header), 'messages');
    is_deeply($rules->{'call-id-rewritten'}, [ 1, 'messages[1].content[0].id' ], 'an id');
    is_deeply($rules->{'empty-result-filled'}, [ 1, 'messages[2].content[0]' ], 'a result without text');
    is_deeply($rules->{'tool-stub-added'}, [ 1, 'messages[1].content[0]' ], 'a tool that is called only');
    is(logged(), $r->header($header), '$kiro_normalized is the same');

    $r = $t->responses([ { role => 'user', content => "explain responses $stream" }, { type => 'ghost_snapshot' } ], stream => $stream);
    is($r->{status}, 200, "responses, streamed: $stream");
    $rules = parsed($r->header($header), 'responses');
    is_deeply($rules->{'server-item-left-out'}, [ 1, 'input[1]' ], 'an item of another server');
    is(logged(), $r->header($header), '$kiro_normalized is the same');
}

my $r = $t->openai('explain nothing');
is($r->header($header), undef, 'nothing was changed: no header');
is(logged(), '', 'and no value');

$r = $t->openai('explain quietly', path => '/quiet/v1/chat/completions', body => { temperature => 0.5 });
is($r->{status}, 200, 'off');
is($r->header($header), undef, 'off: no header');
is(logged(), '', 'off: no value');

my %many = map { ("m$_" . 'x' x 100 => 1) } 1 .. 30;
$r = $t->openai('explain many', body => { %many, @tools });
my $rules = parsed($r->header($header), 'many');
is($rules->{'unknown-member-ignored'}[0], 30, 'all are counted');
like($rules->{'unknown-member-ignored'}[1], qr/^m\d+x{20,60}\.\.\.$/, 'a long name is cut');
logged();

# --- the gateway refuses -----------------------------------------------------

for ([ openai => [ { role => 'wizard', content => 'x' } ], 'messages[0].role' ],
    [ anthropic => [ { role => 'wizard', content => 'x' } ], 'messages[0].role' ],
    [ responses => [ { role => 'wizard', content => 'x' } ], 'input[0].role' ]) {
    my ($api, $what, $path) = @$_;
    my $r = $t->$api($what);
    my $e = $t->error_shape($r, $api, 400, "$api: an unknown role");
    like($e->{message}, qr/ \[rule: known-role; path: \Q$path\E\]$/, "$api: rule and path");
    is($e->{param}, $path, "$api: param") if $api ne 'anthropic';
    logged();
}
$r = $t->post('/v1/messages', '{');
like($t->error_shape($r, 'anthropic', 400, 'broken JSON')->{message}, qr/ \[rule: valid-json\]$/, 'broken JSON: the rule');
logged();
$r = $t->post('/quiet/v1/messages', '{');
unlike($t->error_shape($r, 'anthropic', 400, 'off')->{message}, qr/rule:/, 'off: no rule');
logged();
is(scalar(my @told = $t->grep_log(qr/request was refused: .*\[rule: known-role/)), 3, 'the error log has it');

# --- the service refuses -----------------------------------------------------

for my $api (qw(openai anthropic responses)) {
    my $what = scripted('400');
    my $r = $t->$api($what, body => { temperature => 0.5 });
    my $e = $t->error_shape($r, $api, 400, "$api: refused by the service");
    like($e->{message}, qr/ \[Kiro says: REQUEST_BODY_INVALID; (?:suspicious: [a-z;=0-9, -]+; )?normalized: parameter-ignored/, "$api: why, as far as known");
    unlike($e->{message}, qr/Improperly/, "$api: not in the service's words");
    my $rules = parsed($r->header($header), $api);
    is_deeply($rules->{'parameter-ignored'}, [ 1, 'temperature' ], "$api: the header of an error");
    logged();
}
$r = $t->openai(scripted('400'), body => { tools => [ map { { type => 'function', function => { name => "tool$_", description => 'd' } } } 1 .. 60 ] });
like($t->error_shape($r, 'openai', 400, 'sixty tools')->{message}, qr/suspicious: many-tools;n=60/, 'what is suspicious');
logged();
$r = $t->openai(scripted('400'), path => '/quiet/v1/chat/completions');
unlike($t->error_shape($r, 'openai', 400, 'off')->{message}, qr/Kiro says/, 'off: as before');
logged();

$r = $t->openai('explain pages', path => '/pages/v1/chat/completions', headers => [ Origin => 'https://a.example', Authorization => 'Bearer sk-explain' ]);
like($r->header('access-control-expose-headers'), qr/\bX-Kiro-Normalized\b/, 'pages of other origins may read it');

$t->done;
