use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# What nginx itself or another module refuses in a kiro_pass location has the
# dialect's shape; elsewhere nothing changes.

my $t = Test::Kiro->new(
    http   => 'limit_req_zone $http_x_limit zone=rps:1m rate=1r/m; limit_conn_zone $http_x_limit zone=conns:1m; limit_req_zone $http_x_limit zone=fast:1m rate=5r/s;',
    server => <<'EOT',
        location /deny/v1/    { kiro_pass main; deny all; }
        location /return/v1/  { kiro_pass main; if ($arg_status = 402) { return 402; } if ($arg_status = 503) { return 503; } if ($arg_status = 400) { return 400; } }
        location /rps/v1/     { kiro_pass main; limit_req zone=rps; limit_req_status 429; }
        location /conns/v1/   { kiro_pass main; limit_conn conns 1; limit_conn_status 429; }
        location /basic/v1/   { kiro_pass main; auth_basic x; auth_basic_user_file %%FILES%%/none; }
        location /any/v1/     { kiro_pass main; 
            if ($arg_status = 404) { return 404; } if ($arg_status = 405) { return 405; } if ($arg_status = 410) { return 410; }
            if ($arg_status = 413) { return 413; } if ($arg_status = 414) { return 414; } if ($arg_status = 415) { return 415; }
            if ($arg_status = 418) { return 418; } if ($arg_status = 429) { return 429; } if ($arg_status = 431) { return 431; }
            if ($arg_status = 500) { return 500; } if ($arg_status = 501) { return 501; } if ($arg_status = 502) { return 502; }
            if ($arg_status = 503) { return 503; } if ($arg_status = 504) { return 504; } if ($arg_status = 507) { return 507; }
        }
        location /auth/v1/    { kiro_pass main; auth_request /check; }
        location /auth403/v1/ { kiro_pass main; auth_request /check403; }
        location /auth500/v1/ { kiro_pass main; auth_request /check500; }
        location /auth502/v1/ { kiro_pass main; auth_request /check502; }
        location = /check403  { internal; return 403; }
        location = /check500  { internal; return 500; }
        location = /check502  { internal; proxy_pass http://127.0.0.1:1/; }
        location /internal/v1/ { internal; kiro_pass main; }
        location /try/v1/     { kiro_pass main; try_files /nowhere =404; }
        location /rewrite/v1/ { kiro_pass main; rewrite ^/rewrite/v1/(.*)$ /rewrite/v1/$1/nowhere break; }
        location /loop/v1/    { kiro_pass main; rewrite ^(.*)$ $1?; }
        location /key/v1/     { kiro_pass main; kiro_client_key sk-own-key; }
        location /rps503/v1/  { kiro_pass main; limit_req zone=rps; }
        location /delay/v1/   { kiro_pass main; limit_req zone=fast burst=5; }
        location /ownfile/v1/ { kiro_pass main; error_page 401 /own.txt; kiro_client_key sk-own-key; }
        location = /own.txt   { root %%FILES%%; }
        location /owntext/v1/ { kiro_pass main; default_type application/x-mine; return 429 '{"mine":1}'; }
        location /redirect/v1/ { kiro_pass main; error_page 401 =302 http://localhost/elsewhere; kiro_client_key sk-own-key; }
        location /second/v1/  { kiro_pass main; error_page 401 = @second; kiro_client_key sk-own-key; }
        location @second      { kiro_pass main; }
        location /any_of/v1/  { kiro_pass main; satisfy any; allow 127.0.0.1; deny all; kiro_client_key sk-own-key; }
        location /none_of/v1/ { kiro_pass main; satisfy any; deny all; kiro_client_key sk-own-key; }
        location /small/v1/   { kiro_pass main; client_max_body_size 1k; }
        location /method/v1/  { kiro_pass main; limit_except POST { deny all; } }
        location /own/v1/     { kiro_pass main; error_page 401 = @own; kiro_client_key sk-own-key; }
        location @own         { return 418 "own page\n"; }
        location = /check     { internal; proxy_pass http://127.0.0.1:%%PORT%%/check401; proxy_pass_request_body off; proxy_set_header Content-Length ''; }
        location = /check401  { add_header WWW-Authenticate Custom always; return 401; }
        location /plain/      { deny all; }
        location = /text      { return 200 "text\n"; }
        location /gzip/v1/    { kiro_pass main; gzip on; gzip_types *; gzip_min_length 1; }
        location /header/v1/  { kiro_pass main; add_header X-Added yes always; }
        location /mirror/v1/  { kiro_pass main; mirror /sink; mirror_request_body off; }
        location = /sink      { internal; return 204; }
        location /late/v1/    { kiro_pass main; client_body_timeout 500ms; }
EOT
)->start;
Test::Kiro::spew("$t->{dir}/files/none", "nobody:x\n");
Test::Kiro::spew("$t->{dir}/files/own.txt", "a file\n");
chmod 0644, "$t->{dir}/files/own.txt";
chmod 0644, "$t->{dir}/files/none";

# Every dialect, the routes of models, and one that there is not. Gives the responses.
sub shaped {
    my ($r, $api, $status, $name) = @_;
    my $e = $t->error_shape($r, $api, $status, $name);
    is($r->header('content-type'), 'application/json', "$name: type");
    is($r->header('content-length'), length $r->{body}, "$name: length") if ($r->{status} // 0) >= 400;
    return $e;
}

sub all {
    my ($path, $status, $name, %o) = @_;
    my @headers = @{ delete $o{headers} // [] };
    my @r;
    for (
        [ openai    => 'chat/completions' ], [ openai => 'responses' ], [ anthropic => 'messages' ],
        [ anthropic => 'messages/count_tokens' ], [ openai => 'nothing' ],
        [ openai    => 'models' ], [ anthropic => 'models', 'anthropic-version' => '2023-06-01' ],
        )
    {
        my ($api, $route, @more) = @$_;
        next if $o{post} && $route eq 'models';
        my $method = $route eq 'models' ? 'GET' : 'POST';
        my $body = $method eq 'GET' ? undef : $route eq 'responses' ? $t->responses_body('hello') : $t->openai_body('hello', max_tokens => 100);
        $body->{input} .= 'x' x $o{size} if $o{size} && $body && $body->{input};
        $body->{messages}[0]{content} .= 'x' x $o{size} if $o{size} && $body && $body->{messages};
        my $r = ($t->run($t->exchange($method, $path =~ s/\*/$route/r, $body, headers => [ @headers, @more ])))[0];
        shaped($r, $api, $status, "$name, $method $route");
        push @r, $r;
    }
    my $h = ($t->run($t->exchange('HEAD', $path =~ s/\*/models/r, undef, headers => \@headers)))[0];
    unless ($o{post}) {
        is($h->{status}, $r[0]{status}, "$name, HEAD");
        is($h->{body}, '', 'without a body');
        is($h->header('content-type'), 'application/json', 'the same headers');
    }
    return @r;
}

all('/deny/v1/*', 403, 'deny');
all('/return/v1/*?status=402', 402, 'return 402');
all('/return/v1/*?status=503', 503, 'return 503');
like($_->{body}, qr/"the request was refused"/, 'why') for all('/return/v1/*?status=400', 400, 'return 400');

for my $status (404, 405, 410, 413, 414, 415, 418, 431, 500, 501, 502, 504, 507) { all("/any/v1/*?status=$status", $status, "return $status") }
for my $r (all('/basic/v1/*', 401, 'auth_basic')) { like($r->header('www-authenticate'), qr/^Basic/, 'WWW-Authenticate stays') }
for my $r (all('/auth/v1/*', 401, 'auth_request')) { is($r->header('www-authenticate'), 'Custom', 'WWW-Authenticate of the subrequest') }
all('/auth403/v1/*', 403, 'auth_request, 403');
all('/auth500/v1/*', 500, 'auth_request, 500');
all('/auth502/v1/*', 500, 'auth_request without an answer');
all('/internal/v1/*', 404, 'internal');
all('/try/v1/*', 404, 'try_files');
all('/rewrite/v1/*', 404, 'a rewrite to nowhere');
all('/loop/v1/*', 500, 'a rewrite without end');
all('/key/v1/*', 401, 'client key');

is($t->openai('hello', path => '/rps/v1/chat/completions', headers => [ 'X-Limit' => 'a' ])->{status}, 200, 'inside the rate');
is($_->header('retry-after'), 1, 'Retry-After') for all('/rps/v1/*', 429, 'limit_req', headers => [ 'X-Limit' => 'a' ]);
for my $r (all('/rps503/v1/*', 503, 'limit_req with its own status', headers => [ 'X-Limit' => 'a' ])) {
    is($r->header('retry-after'), 1, 'Retry-After');
    like($r->{body}, qr/"the gateway cannot serve this request now"/, 'no fault of the request');
}
is($_->header('retry-after'), undef, 'no Retry-After') for all('/any/v1/*?status=503', 503, 'another 503');
is($_->header('retry-after'), 1, 'Retry-After') for all('/any/v1/*?status=429', 429, 'return 429');
my @slow = map { $t->openai_x("delayed $_", path => '/delay/v1/chat/completions', headers => [ 'X-Limit' => 'c' ]) } 1 .. 3;
$t->run(10, @slow);
$t->openai_object($_, 'limit_req with a delay') for @slow;

my $stays = $t->openai_x(scripted({ words => 30, gap_ms => 50 }), stream => 1, path => '/conns/v1/chat/completions', headers => [ 'X-Limit' => 'b' ]);
$t->turn(0.4, $stays);
all('/conns/v1/*', 429, 'limit_conn', headers => [ 'X-Limit' => 'b' ]);
$t->run(10, $stays);
$t->openai_stream($stays, 'the one inside the limit');

my $r = $t->get('/method/v1/chat/completions');
$t->error_shape($r, 'openai', [ 403, 405 ], 'limit_except');

is($t->openai('hello', path => '/own/v1/chat/completions')->{body}, "own page\n", 'an error_page of the operator wins');
$r = $t->openai('hello', path => '/ownfile/v1/chat/completions');
is("$r->{status} $r->{body}", "401 a file\n", 'with a file too');
$r = $t->openai('hello', path => '/owntext/v1/chat/completions');
is("$r->{status} $r->{body}", '429 {"mine":1}', 'so does a text of return');
is($r->header('content-type'), 'application/x-mine', 'with its type');
$r = $t->openai('hello', path => '/redirect/v1/chat/completions');
is("$r->{status} " . $r->header('location'), '302 http://localhost/elsewhere', 'and a redirect');
$t->openai_object($t->openai('hello', path => '/second/v1/chat/completions'), 'an error_page that leads to another kiro_pass');

# satisfy any: one is enough, and what did not match leaves no trace.
$r = $t->openai('hello', path => '/any_of/v1/chat/completions');
$t->openai_object($r, 'satisfy any, by address');
$r = $t->get('/any_of/v1/models');
is($r->{status}, 200, 'satisfy any, models');
is(($t->last_access)->{error}, '', 'no $kiro_error');
shaped($t->openai('hello', path => '/none_of/v1/chat/completions'), 'openai', 401, 'satisfy any, neither');
$t->openai_object($t->openai('hello', path => '/none_of/v1/chat/completions', headers => [ Authorization => 'Bearer sk-own-key' ]), 'satisfy any, by key');

# Bodies: too large, in pieces, announced.
all('/small/v1/*', 413, 'client_max_body_size', size => $_, post => 1) for 3000, 5_000_000;
for my $api (qw(openai anthropic)) {
    my $path = '/small/v1/' . ($api eq 'openai' ? 'chat/completions' : 'messages');
    my $x = $t->exchange('POST', $path, undef, headers => [ 'Transfer-Encoding' => 'chunked', 'Content-Type' => 'application/json' ]);
    $x->{out} .= "800\r\n" . 'x' x 2048 . "\r\n0\r\n\r\n";
    $t->run(10, $x);
    shaped($x, $api, 413, "chunked and too large, $api");
    $x = $t->exchange('POST', $path, undef, headers => [ 'Content-Length' => 5000, Expect => '100-continue', 'Content-Type' => 'application/json' ]);
    $t->run(10, $x);
    shaped($x, $api, 413, "announced and too large, $api");
}
my $chunked = json($t->openai_body('in pieces'));
my $pieces = $t->exchange('POST', '/v1/chat/completions', undef, headers => [ 'Transfer-Encoding' => 'chunked', 'Content-Type' => 'application/json' ]);
$pieces->{out} .= join '', map({ sprintf "%x\r\n%s\r\n", length, $_ } $chunked =~ /(.{1,7})/gs), "0\r\n\r\n";
$t->run(10, $pieces);
$t->openai_object($pieces, 'a chunked body');
$pieces = $t->exchange('POST', '/v1/chat/completions', undef, headers => [ 'Transfer-Encoding' => 'chunked', 'Content-Type' => 'application/json' ]);
$pieces->{out} .= "zz\r\n";
$t->run(10, $pieces);
shaped($pieces, 'openai', 400, 'broken chunks');
my $expect = $t->exchange('POST', '/v1/chat/completions', undef,
    headers => [ 'Content-Length' => length $chunked, Expect => '100-continue', 'Content-Type' => 'application/json' ]);
$t->turn(0.3, $expect);
is($expect->{status}, 100, '100 Continue') or diag $expect->{in};
$expect->{out} .= $chunked;
$t->run(10, $expect);
$t->openai_object($expect, 'Expect: 100-continue');

# In front of any location: by the path.
my $long = 'x' x 40_000;
sub raw {
    my ($text, $method) = @_;
    my $x = Test::Kiro::HTTP->new(port => $t->{port}, raw => $text, method => $method // 'POST');
    $t->run(10, $x);
    return $x;
}
for ([ openai => '/v1/chat/completions' ], [ anthropic => '/v1/messages' ], [ openai => '/v1/responses' ], [ openai => '/v1/nothing' ]) {
    my ($api, $path) = @$_;
    shaped(raw("POST $path?$long HTTP/1.1\r\nHost: x\r\n\r\n"), $api, 414, "a long URI, $path");
    my $x = raw("POST $path HTTP/1.1\r\nHost: x\r\nX-Long: $long\r\n\r\n");
    shaped($x, $api, 400, "a long header, $path");
    like($x->{body}, qr/malformed or has headers that are too large/, 'why');
    shaped(raw("POST $path HTTP/1.1\r\n\r\n"), $api, 400, "no Host, $path");
    shaped(raw("POST $path HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n"), $api, 400, "a bad length, $path");
    shaped(raw("TRACE $path HTTP/1.1\r\nHost: x\r\n\r\n"), $api, 405, "TRACE, $path");
    shaped(raw("POST $path HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n"), $api, [ 400, 501 ], "a strange coding, $path");
}
for my $x (raw("GET /plain/$long HTTP/1.1\r\nHost: x\r\n\r\n"), raw("GET /plain/ HTTP/1.1\r\n\r\n"), raw("nonsense\r\n\r\n")) {
    unlike($x->header('content-type') // '', qr/json/, 'elsewhere a page of nginx');
}
$r = $t->get('/plain/x');
is($r->{status}, 403, 'another location');
like($r->header('content-type'), qr{text/html}, 'keeps its own page');
is($t->get('/text')->{body}, "text\n", 'and its own text');

# Other filters and phases.
$r = $t->openai('hello', path => '/header/v1/chat/completions', stream => 1);
is($r->header('x-added'), 'yes', 'add_header');
$t->openai_stream($r, 'with add_header');
$r = $t->post('/header/v1/chat/completions', '{');
is($r->header('x-added'), 'yes', 'add_header on an error');
$t->openai_stream($t->openai('hello', path => '/mirror/v1/chat/completions', stream => 1), 'with mirror');
$r = $t->openai(scripted({ words => 30 }), path => '/gzip/v1/chat/completions', stream => 1, headers => [ 'Accept-Encoding' => 'gzip' ]);
is($r->{status}, 200, 'gzip');
if (($r->header('content-encoding') // '') eq 'gzip') {
    require IO::Uncompress::Gunzip;
    IO::Uncompress::Gunzip::gunzip(\(my $in = $r->{body}), \my $plain);
    $r->{body} = $plain;
}
is(scalar(split ' ', $t->openai_stream($r, 'behind gzip')->{text}), 30, 'the text behind gzip');

# A body that never comes.
my $x = $t->exchange('POST', '/late/v1/messages', '', headers => [ 'Content-Length' => 100 ]);
$t->run(10, $x);
ok($x->{error} || $x->{status} == 408, 'a body that never comes');
ok(Test::Kiro::wait_for(5, sub { grep { $_->{uri} =~ m{^/late/} && $_->{error} eq 'client_timeout' } $t->access }), '$kiro_error');

# A request line that nginx refuses does no harm.
$x = Test::Kiro::HTTP->new(port => $t->{port}, raw => "POST /v1/chat/completions HTTP/1.1\r\n\r\n");
$t->run(5, $x);
is($x->{status}, 400, 'no Host');
$t->openai_object($t->openai('hello'), 'all is well');

$t->done;
