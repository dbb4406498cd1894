use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# What nginx itself or another module refuses in a kiro_pass location has the
# dialect's shape; elsewhere nothing changes.

my $t = Test::Kiro->new(
    http   => 'limit_req_zone $http_x_limit zone=rps:1m rate=1r/m; limit_conn_zone $http_x_limit zone=conns:1m;',
    server => <<'EOT',
        location /deny/v1/    { kiro_pass main; deny all; }
        location /return/v1/  { kiro_pass main; if ($arg_status = 402) { return 402; } if ($arg_status = 503) { return 503; } if ($arg_status = 400) { return 400; } }
        location /rps/v1/     { kiro_pass main; limit_req zone=rps; limit_req_status 429; }
        location /conns/v1/   { kiro_pass main; limit_conn conns 1; limit_conn_status 429; }
        location /basic/v1/   { kiro_pass main; auth_basic x; auth_basic_user_file %%FILES%%/none; }
        location /auth/v1/    { kiro_pass main; auth_request /check; }
        location /method/v1/  { kiro_pass main; limit_except POST { deny all; } }
        location /own/v1/     { kiro_pass main; error_page 401 = @own; kiro_client_key sk-own-key; }
        location @own         { return 418 "own page\n"; }
        location = /check     { internal; return 401; }
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
chmod 0644, "$t->{dir}/files/none";

sub both {
    my ($path, $status, $name, %o) = @_;
    for my $api (qw(openai anthropic)) {
        my $r = $api eq 'openai' ? $t->openai('hello', path => $path =~ s/\*/chat\/completions/r, %o)
            : $t->anthropic('hello', path => $path =~ s/\*/messages/r, %o);
        $t->error_shape($r, $api, $status, "$name, $api");
    }
    return;
}

both('/deny/v1/*', 403, 'deny');
both('/return/v1/*?status=402', 402, 'return 402');
both('/return/v1/*?status=503', 503, 'return 503');
both('/return/v1/*?status=400', 400, 'return 400');
both('/basic/v1/*', 401, 'auth_basic');
both('/auth/v1/*', 401, 'auth_request');

is($t->openai('hello', path => '/rps/v1/chat/completions', headers => [ 'X-Limit' => 'a' ])->{status}, 200, 'inside the rate');
both('/rps/v1/*', 429, 'limit_req', headers => [ 'X-Limit' => 'a' ]);

my $long = $t->openai_x(scripted({ words => 30, gap_ms => 50 }), stream => 1, path => '/conns/v1/chat/completions', headers => [ 'X-Limit' => 'b' ]);
$t->turn(0.4, $long);
both('/conns/v1/*', 429, 'limit_conn', headers => [ 'X-Limit' => 'b' ]);
$t->run(10, $long);
$t->openai_stream($long, 'the one inside the limit');

my $r = $t->get('/method/v1/chat/completions');
$t->error_shape($r, 'openai', [ 403, 405 ], 'limit_except');

is($t->openai('hello', path => '/own/v1/chat/completions')->{body}, "own page\n", 'an error_page of the operator wins');
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

# A request line that nginx refuses does no harm.
$x = Test::Kiro::HTTP->new(port => $t->{port}, raw => "POST /v1/chat/completions HTTP/1.1\r\n\r\n");
$t->run(5, $x);
is($x->{status}, 400, 'no Host');
$t->openai_object($t->openai('hello'), 'all is well');

$t->done;
