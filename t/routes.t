use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# What is served where, and the shape of everything that is not.

my $t = Test::Kiro->new(
    server => <<'EOT',
        location /gw/v1/ { kiro_pass main; }
        location /root/  { kiro_pass main; }
        location /key/   { kiro_pass main; kiro_client_key sk-routes-key; }
        location /if/    { if ($http_x_if) { set $seen 1; } kiro_pass main; }
        location /ifp/   { if ($http_x_if) { kiro_pass main; } }
        location /named/ { try_files /no/such/file @named; }
        location @named  { kiro_pass main; }
        location ~ ^/team\d+/ { kiro_pass main; }
EOT
)->start;

# method, path, headers, status, shape, what the error must say
my @table = (
    [ GET    => '/v1/chat/completions',             [], 405, 'openai' ],
    [ PUT    => '/v1/chat/completions',             [], 405, 'openai' ],
    [ DELETE => '/v1/messages',                     [], 405, 'anthropic' ],
    [ GET    => '/v1/messages',                     [], 405, 'anthropic' ],
    [ POST   => '/v1/nothing',                      [], 404, 'openai' ],
    [ POST   => '/v1/nothing', [ 'anthropic-version' => '2023-06-01' ], 404, 'anthropic' ],
    [ GET    => '/v1/nothing', [ 'x-api-key' => 'k' ],                  404, 'anthropic' ],
    [ GET    => '/v1/nothing', [ 'x-api-key' => 'k', Authorization => 'Bearer k' ], 404, 'openai' ],
    [ POST   => '/v1/chat/completions/more',        [], 404, 'openai' ],
    [ POST   => '/v1/chat/completionsx',            [], 404, 'openai' ],
    [ POST   => '/v1/messages/nothing',             [], 404, 'anthropic' ],
    [ POST   => '/v1/messages/batches',             [], 501, 'anthropic' ],
    [ POST   => '/v1/messages/count_tokens',        [], 400, 'anthropic' ],
    [ GET    => '/v1/messages/count_tokens',        [], 405, 'anthropic' ],
    [ GET    => '/v1/responses', [ Upgrade => 'websocket', Connection => 'Upgrade' ], 405, 'openai' ],
    [ GET    => '/v1/responses/resp_1',             [], 404, 'openai' ],
    [ POST   => '/v1/responses/compact',            [], 404, 'openai' ],
    [ GET    => '/v1/models/nobody',                [], 404, 'openai' ],
    [ GET    => '/v1/models/nobody', [ 'anthropic-version' => '2023-06-01' ], 404, 'anthropic' ],
    [ POST   => '/v1/models',                       [], 405, 'openai' ],
    [ GET    => '/v1/messages/batches',             [], 501, 'anthropic' ],
    [ POST   => '/gw/v1/nothing',                   [], 404, 'openai' ],
);
for (@table) {
    my ($method, $path, $headers, $status, $api) = @$_;
    my $r = ($t->run($t->exchange($method, $path, $method eq 'GET' ? undef : '{}', headers => [@$headers])))[0];
    my $e = $t->error_shape($r, $api, $status, "$method $path @$headers");
    ok(length($r->header('allow') // ''), "$method $path: Allow") if $status == 405;
}

# Tolerated ways to a known route.
for my $path (qw(/v1/chat/completions?beta=true&x=%2F /v1/v1/chat/completions /gw/v1/chat/completions)) {
    $t->openai_object($t->openai('hello', path => $path), $path);
}
for my $path (qw(/if/v1/chat/completions /ifp/chat/completions /named/chat/completions /team7/v1/chat/completions)) {
    $t->openai_object($t->openai('hello', path => $path, headers => [ 'X-If' => 1 ]), $path);
}
for my $path (qw(/named/nothing /team7/ /team7/v1/nothing)) {
    $t->error_shape($t->openai('hello', path => $path), 'openai', 404, $path);
}
for my $path (qw(/v1/messages?beta=true /v1/v1/messages /gw/v1/messages)) {
    $t->anthropic_object($t->anthropic('hello', path => $path), $path);
}

# Probes: HEAD tells that somebody is there, OPTIONS what a route takes, both without a key where there is nothing to guard.
my $r;
for my $path (qw(/v1/ /v1/chat/completions /v1/messages /v1/messages/count_tokens /v1/responses /v1/models /v1/models/claude-sonnet-4.5
    /root/ /root/api/hello /root/v1/chat/completions /key/ /key/api/hello))
{
    $r = ($t->run($t->exchange('HEAD', $path)))[0];
    is($r->{status}, 200, "HEAD $path") or diag $r->{error};
    is($r->header('content-type'), 'application/json', 'type');
    is($r->{in} // '', '', 'without a body');
}
for my $path (qw(/key/v1/chat/completions /key/v1/models)) {
    $r = ($t->run($t->exchange('HEAD', $path)))[0];
    is($r->{status}, 401, "HEAD $path without a key");
    is($r->{in} // '', '', 'without a body');
}
for my $path (qw(/v1/nothing /v1/messages/nothing)) {
    is(($t->run($t->exchange('HEAD', $path)))[0]{status}, 404, "HEAD $path");
}
is(($t->run($t->exchange('HEAD', '/v1/messages/batches')))[0]{status}, 501, 'HEAD of what is not built');
for ([ '/v1/chat/completions' => 'HEAD, POST, OPTIONS' ], [ '/v1/models' => 'GET, HEAD, OPTIONS' ], [ '/key/v1/messages' => 'HEAD, POST, OPTIONS' ]) {
    my ($path, $allow) = @$_;
    $r = ($t->run($t->exchange('OPTIONS', $path)))[0];
    is("$r->{status} " . $r->header('allow'), "204 $allow", "OPTIONS $path");
    is($r->{in}, '', 'without a body');
}
$t->error_shape(($t->run($t->exchange('OPTIONS', '/v1/nothing')))[0], 'openai', 404, 'OPTIONS of what there is not');
is($t->get('/root/api/hello')->{status}, 200, 'GET api/hello');
is($t->get('/key/api/hello')->{status}, 401, 'not without a key');

# A connection is good for the next request after an error.
my $x = $t->exchange('POST', '/v1/nothing', '{}', headers => [ Connection => 'keep-alive' ]);
my $second = join '', "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n",
    "Connection: close\r\n";
my $body = json($t->openai_body('hello'));
$x->{out} .= $second . 'Content-Length: ' . length($body) . "\r\n\r\n$body";
$x->{keep} = 1;
$t->run($x);
is($x->{status}, 404, 'first answer');
$x->again;
$t->run($x);
is($x->{status}, 200, 'second answer on the same connection');

$t->done;
