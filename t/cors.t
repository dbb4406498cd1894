use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_cors_origin: pages of other origins.

my $vectors = Test::Kiro::root() . '/gtest/data/vectors';
my $t = Test::Kiro->new(
    http => 'kiro_budget_zone $http_x_who zone=cors:256k;',
    key => 'sk-cors',
    location => 'kiro_cors_origin https://app.example.com http://localhost:3000;',
    server => <<"EOT",
        location = /no { return 403; }
        location /any/ { kiro_pass main; kiro_cors_origin *; kiro_client_key sk-cors; auth_request /no; }
        location /spend/ { kiro_pass main; kiro_cors_origin *; kiro_budget zone=cors tokens=1m/day; }
        location /filter/ { proxy_pass http://127.0.0.1:%%PORT%%/raw/; kiro_filter openai; kiro_cors_origin https://app.example.com; }
        location /raw/   { alias $vectors/; types { application/vnd.amazon.eventstream bin; } add_header Access-Control-Allow-Origin * always; }
        location /none/ { kiro_pass main; kiro_client_key sk-cors; }
EOT
)->start;

my @ask = ('Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'authorization, x-stainless-os,anthropic-beta');

sub preflight {
    my ($origin, $path, @more) = @_;
    return ($t->run($t->exchange(OPTIONS => $path // '/v1/chat/completions', undef,
        headers => [ Origin => $origin, Authorization => '', @ask, @more ])))[0];
}
sub header { my ($r, $name) = @_; return $r->header("access-control-$name") }

for my $origin ('https://app.example.com', 'http://localhost:3000') {
    my $r = preflight($origin);
    is($r->{status}, 204, "$origin: a preflight needs no key");
    is(header($r, 'allow-origin'), $origin, 'the origin');
    like(header($r, 'allow-methods'), qr/\bPOST\b/, 'methods');
    is(header($r, 'allow-headers'), 'authorization, x-stainless-os,anthropic-beta', 'headers');
    is(header($r, 'max-age'), 7200, 'how long');
    is($r->header('vary'), 'Origin', 'a cache keeps origins apart');
    is(header($r, 'allow-credentials'), undef, 'no cookies');
    is(header($r, 'allow-private-network'), undef, 'no word of networks');
    is($r->{body} // '', '', 'no body');
}
is(header(preflight('https://app.example.com', undef, 'Access-Control-Request-Private-Network' => 'true'), 'allow-private-network'), 'true', 'a private network');

for my $origin ('https://evil.example.com', 'https://app.example.com.evil.org', 'http://app.example.com', 'null', 'https://app.example.com:444') {
    my $r = preflight($origin);
    is(header($r, 'allow-origin'), undef, "$origin: not allowed");
    is($r->header('vary'), 'Origin', 'as caches must know');
}

my @from = (headers => [ Origin => 'https://app.example.com', Authorization => 'Bearer sk-cors' ]);
for my $stream (0, 1) {
    my $r = $t->openai('hello cors', stream => $stream, @from);
    is($r->{status}, 200, "a request, streamed: $stream");
    is(header($r, 'allow-origin'), 'https://app.example.com', 'the origin');
    like(header($r, 'expose-headers'), qr/\bX-Request-Id\b/, 'the page may read the id');
    is(header($r, 'max-age'), undef, 'no preflight');
}
my $r = $t->openai('hello cors', headers => [ Origin => 'https://app.example.com', Authorization => 'Bearer wrong' ]);
is($r->{status}, 401, 'a wrong key');
is(header($r, 'allow-origin'), 'https://app.example.com', 'the page may read why');
$r = $t->openai('hello cors', headers => [ Authorization => 'Bearer sk-cors' ]);
is($r->{status}, 200, 'no browser');
is(header($r, 'allow-origin'), undef, 'no header');
$r = ($t->run($t->exchange(OPTIONS => '/v1/chat/completions', undef, headers => [ Origin => 'https://app.example.com' ])))[0];
is($r->{status}, 204, 'OPTIONS that is no preflight');
like($r->header('allow'), qr/POST/, 'tells the methods');

$r = preflight('https://whoever.example', '/any/chat/completions');
is($r->{status}, 204, '*: a preflight passes auth_request');
is(header($r, 'allow-origin'), '*', 'any origin');
is($r->header('vary'), undef, 'for all the same');
$r = ($t->run($t->exchange(OPTIONS => '/any/chat/completions', undef, headers => [
    Origin => 'https://x.example', 'Access-Control-Request-Method' => 'POST', 'Access-Control-Request-Headers' => 'x; y',
])))[0];
is(header($r, 'allow-headers'), undef, 'what is no header name does not come back');

$r = preflight('https://app.example.com', '/none/chat/completions');
is(header($r, 'allow-origin'), undef, 'without the directive: nothing');
is($r->header('vary'), undef, 'not even this');

# Answers of another server that kiro_filter turns.
for my $case ([ 's01_text.bin', 200 ], [ 'none.bin', 404 ]) {
    $r = $t->get("/filter/$case->[0]", @from);
    is($r->{status}, $case->[1], "kiro_filter: $case->[0]");
    is_deeply([ $r->{head} =~ /^access-control-allow-origin: (.*?)\r$/gim ], ['https://app.example.com'], 'one origin, and not that of the other server');
}
$r = preflight('https://app.example.com', '/filter/s01_text.bin');
is($r->{status}, 204, 'kiro_filter: a preflight does not reach the other server');
like(header($r, 'allow-methods'), qr/\bPOST\b/, 'methods');
is($t->get('/raw/s01_text.bin', @from)->header('access-control-allow-origin'), '*', 'other locations have what they had');

$r = $t->openai('hello cors', path => '/spend/chat/completions', headers => [ Origin => 'https://x.example', 'X-Who' => 'me' ]);
is($r->header('x-ratelimit-limit-tokens'), 1_000_000, 'a budget');
like(header($r, 'expose-headers'), qr/\bX-RateLimit-Remaining-Tokens\b/, 'the page may read what is left');

for my $bad ('app.example.com', 'https://app.example.com/', 'https://*.example.com', 'https://') {
    my ($status, $out) = Test::Kiro->new(sim => 0, login => 'api_key_file', conf => "server { kiro_cors_origin $bad; }", allow => qr{is no origin})->test_config;
    isnt($status, 0, "$bad: refused");
    like($out, qr/is no origin, it must have the form/, 'and said why');
}

$t->done;
