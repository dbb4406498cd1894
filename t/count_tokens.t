use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# POST messages/count_tokens: exact, without the service, and the number that a stream of the same request
# begins with.

my $t = Test::Kiro->new(
    login => 'credentials_file', sim => ['--expired'], key => 'sk-count-test',
    http   => 'kiro_account gone { refresh_token_file %%FILES%%/gone; endpoint http://127.0.0.1:1; auth_endpoint http://127.0.0.1:1; refresh off; }',
    server => 'location /gone/v1/ { kiro_pass gone; kiro_client_key sk-count-test; }',
);
Test::Kiro::spew("$t->{dir}/files/gone", 'aorEXAMPLE' . 'x' x 150 . "\n", 0600);
$t->secret('aorEXAMPLE' . 'x' x 150);
$t->start;

my $path = '/v1/messages/count_tokens';

sub tokens {
    my ($body, $name, %o) = @_;
    my $r = $t->post($o{path} // $path, ref $body ? json($body) : $body);
    is($r->{status}, 200, "$name: status") or diag $r->{body};
    is($r->header('content-type'), 'application/json', "$name: type");
    my $answer = eval { json($r->{body}) };
    is_deeply([ keys %{ $answer // {} } ], ['input_tokens'], "$name: shape") or diag $r->{body};
    return $answer->{input_tokens};
}

sub message { my ($text, %more) = @_; return { model => 'gpt-5.6-sol', messages => [ { role => 'user', content => $text } ], %more } }

# tiktoken says 10; four for the message, three for the answer's beginning
my $text = "Hello, world! It's 2024.";
is(tokens(message($text), 'a text'), 17, 'a text');
is($t->last_access(1)->{input}, '', 'nothing is used: no $kiro_input_tokens');
is(tokens(message($text), 'beta', path => "$path?beta=true"), 17, 'with a query');
is(tokens(message($text, model => 'claude-sonnet-4.5'), 'Claude'), 20, 'for Claude 15 percent more');
is(tokens(message([ map { { type => 'text', text => $_ } } $text, $text ]), 'blocks'), 27, 'blocks');
is(tokens(message('hi', system => $text), 'system'), 18, 'system');
my %tool = (name => 'get_weather', description => 'The weather of a city',
    input_schema => { type => 'object', properties => { city => { type => 'string' } } });
cmp_ok(tokens(message('hi', tools => [ \%tool ]), 'tools'), '>', 25, 'tools count');
cmp_ok(tokens({ model => 'gpt-5.6-sol', tools => [ \%tool ] }, 'only tools'), '>', 20, 'without messages');
cmp_ok(tokens({ model => 'gpt-5.6-sol', messages => [], system => $text }, 'no message'), '>=', 17, 'with no message');
is(tokens(message($text, stream => JSON::PP::true, max_tokens => 5), 'more'), 17, 'members of a request do no harm');

# With max_tokens and without, it is what a stream of the same request begins with.
for my $case (
    [ 'a word',         message(scripted({ words => 3 })) ],
    [ 'with tools',     message(scripted({ words => 3 }), tools => [ \%tool ], system => "You are \x{1F600}\n\n  brief.") ],
    [ 'Claude',         message(scripted({ words => 3 }), model => 'claude-sonnet-4.5') ],
    [ 'in a thread',    message(scripted({ words => 3, first_ms => 1500 }), system => "A line of code: x = 1;\n" x 4000) ],
) {
    my ($name, $body) = @$case;
    my $r = $t->post('/v1/messages', json({ %$body, max_tokens => 100, stream => JSON::PP::true }));
    $t->anthropic_stream($r, $name);
    my ($start) = $r->{body} =~ /"type":"message_start".*?"input_tokens":(\d+)/;
    is($start, tokens($body, $name), "$name: as in message_start");
}
my $calls = $t->stats->{generate};

# Errors in the dialect.
for my $case (
    [ 'no JSON',         '{"model":',                     'JSON' ],
    [ 'no model',        '{"messages":[{"role":"user","content":"x"}]}', 'model' ],
    [ 'a wrong role',    '{"model":"m","messages":[{"role":"bot","content":"x"}]}', 'messages\[0\]\.role' ],
    [ 'a wrong type',    '{"model":"m","messages":"x"}',  'messages' ],
    [ 'nothing',         '',                              '' ],
) {
    my ($name, $body, $says) = @$case;
    my $e = $t->error_shape($t->post($path, $body), 'anthropic', 400, $name);
    like($e->{message}, qr/$says/, "$name: says where");
}
$t->error_shape($t->post($path, json(message('x')), headers => [ 'x-api-key' => 'sk-wrong' ]), 'anthropic', 401, 'a wrong key');
$t->error_shape($t->get($path), 'anthropic', 405, 'GET');

# No login is needed, and it does not wait for one.
is(tokens(message($text), 'no login', path => '/gone/v1/messages/count_tokens'), 17, 'without a login');

# Large ones, and many at once, of which some leave.
my $unit = 'Some words of prose, 1234 numbers; and {"json":[true,null]} too. ';
my $line = tokens(message($unit), 'line');
for my $times (100, 1000, 30_000) {
    my $n = tokens(message($unit x $times), "$times lines");
    my $wanted = ($line - 7) * $times + 7;
    cmp_ok(abs($n - $wanted), '<=', $wanted * 0.1, "$times lines");
    is(tokens(message($unit x $times), "$times lines"), $n, "$times lines: the same again");
}
cmp_ok(tokens(message($unit x 80_000), 'over 4 MB'), '>', 1_000_000, 'over 4 MB: an estimate');
is(tokens(message('-' x 1_000_000), 'dashes'), 1_000_000 / 64 + 7, 'a million dashes');
is(tokens(message('a' x 1_048_576), 'one letter'), 1_048_576 / 8 + 7, 'a million letters');

my @crowd = map {
    my $times = $_ % 5 == 0 ? 2000 : 1 + $_;
    $t->exchange('POST', $path, json(message($unit x $times)), $_ % 7 == 0 ? (abort => { after => 0.02 * ($_ % 9), mode => 'rst' }) : ())
} 1 .. 200;
$t->run(60, @crowd);
my ($good, $bad) = (0, 0);
for (0 .. $#crowd) {
    my $x = $crowd[$_];
    next if ($_ + 1) % 7 == 0;
    my $ok = $x->{status} == 200 && $x->{body} =~ /^\{"input_tokens":\d+\}$/;
    $ok ? $good++ : $bad++;
}
is($bad, 0, 'a crowd was served');
is($good, 200 - int(200 / 7), 'all of it');
is($t->stats->{generate}, $calls, 'the service saw nothing of it');

$t->done;
