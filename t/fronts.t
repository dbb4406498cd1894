use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Compress::Zlib ();
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;

# What stands between the client and us, and what clients do with a connection: another nginx in front, gzip,
# HTTP/1.0, keepalive and pipelining.

my $patience = Test::Kiro::patience();
my $t = Test::Kiro->new(
    location => 'kiro_ping_interval 200ms;',
    server   => <<'EOT',
        location /gzip/v1/  { kiro_pass main; kiro_ping_interval 200ms; gzip on; gzip_types text/event-stream application/json; gzip_min_length 1; gzip_http_version 1.0; gzip_proxied any; }
        location /slow/v1/  { kiro_pass main; kiro_early_headers 300ms; kiro_ping_interval 300ms; }
        location /on10/     { proxy_pass http://127.0.0.1:%%PORT%%/; }
        location /on11/     { proxy_pass http://127.0.0.1:%%PORT%%/; proxy_http_version 1.1; proxy_set_header Connection ''; }
        location /off11/    { proxy_pass http://127.0.0.1:%%PORT%%/; proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off; proxy_request_buffering off; }
        location /frontgz/  { proxy_pass http://127.0.0.1:%%PORT%%/; gzip on; gzip_types *; gzip_min_length 1; }
        location /hasty/    { proxy_pass http://127.0.0.1:%%PORT%%/; proxy_read_timeout 1s; }
        location /catch/    { proxy_pass http://127.0.0.1:%%PORT%%/; proxy_intercept_errors on; error_page 401 404 = /caught; }
        location = /caught  { return 200 "caught\n"; }
        location /keyed/v1/ { kiro_pass main; kiro_client_key sk-fronts-key; }
EOT
)->start;

# The texts of a stream and when they came, read as they come; unpacks gzip on the way.
sub live {
    my ($z, $plain, $at) = @_;
    return on_body => sub {
        my ($x, $piece) = @_;
        my $gz = ($x->header('content-encoding') // '') eq 'gzip';
        $$z //= Compress::Zlib::inflateInit(-WindowBits => Compress::Zlib::WANT_GZIP()) if $gz;
        my $out = $gz ? $$z->inflate(my $in = $piece) : $piece;
        $$plain .= $out;
        push @$at, map { time - $x->{started} } $out =~ /"w\d+ ?"|data: \{[^\n]*(?:"content":"[^"]|text_delta|output_text\.delta)/g;
    };
}

my %api = (
    openai    => [ 'chat/completions', sub { $t->openai_x(@_) },    sub { $t->openai_stream(@_) } ],
    anthropic => [ 'messages',         sub { $t->anthropic_x(@_) }, sub { $t->anthropic_stream(@_) } ],
    responses => [ 'responses',        sub { $t->responses_x(@_) }, sub { $t->responses_stream(@_) } ],
);
my @live;
for my $api (sort keys %api) {
    my ($route, $ask) = @{ $api{$api} };
    for my $way (qw(/gzip /on10 /on11 /off11 /frontgz /on11/gzip /off11/gzip)) {
        my %seen = (api => $api, way => $way, z => undef, plain => '', at => []);
        $seen{x} = $ask->(scripted({ words => 8, gap_ms => 150, silence_ms => 700, silence_at => 6 }), stream => 1, path => "$way/v1/$route",
            $way =~ /gz/ ? (headers => [ 'Accept-Encoding' => 'gzip' ]) : (), live(\@seen{qw(z plain)}, $seen{at}));
        push @live, \%seen;
    }
}
$t->run(map { $_->{x} } @live);
for my $seen (@live) {
    my ($api, $way, $x) = @$seen{qw(api way x)};
    is($x->header('content-encoding'), $way =~ /gz/ ? 'gzip' : undef, "$api, $way: coding");
    $x->{body} = $seen->{plain};
    my $s = $api{$api}[2]->($x, "$api, $way");
    my @at = @{ $seen->{at} };
    is(scalar(split ' ', $s->{text}), 8, 'every word');
    cmp_ok(scalar(@at), '>=', 8, 'seen one by one');
    cmp_ok($at[0], '<', 0.9 * $patience, 'the first at once');
    cmp_ok($at[7] - $at[0], '>', 1.2, 'in the pace of the upstream') or diag "@at";
    cmp_ok(($s->{pings} // 0) + $s->{comments}, '>=', 2, 'pings too');
}

for my $api (sort keys %api) {
    my ($route, $ask, $read) = @{ $api{$api} };

    # Errors keep their shape and headers behind a front, and may be replaced there.
    for my $way (qw(/on10 /on11 /off11)) {
        my $r = ($t->run($t->exchange('POST', "$way/keyed/v1/$route", '{}')))[0];
        $t->error_shape($r, $api eq 'anthropic' ? $api : 'openai', 401, "$api, $way: an error");
        $r = $ask->(scripted({ status => 400 }), stream => 1, path => "$way/v1/$route");
        $t->run($r);
        $t->error_shape($r, $api eq 'anthropic' ? $api : 'openai', [ 400, 502 ], "$api, $way: a refusal");
    }
    is(($t->run($t->exchange('POST', "/catch/keyed/v1/$route", '{}')))[0]{body}, "caught\n", "$api: a front that intercepts errors");

    # A front that waits for a second only.
    my $x = $ask->(scripted({ first_ms => 2500, text => 'Late' }), stream => 1, path => "/hasty/slow/v1/$route");
    $t->run($x);
    is($read->($x, "$api, a hasty front")->{text}, 'Late', 'early headers keep it');

    # A client that leaves is noticed through the front.
    $t->sim(POST => 'reset');
    $x = $ask->(scripted({ words => 300, gap_ms => 50 }), stream => 1, path => "/on11/v1/$route", abort => { bytes => 1500 });
    $t->run($x);
    ok(Test::Kiro::wait_for(2 * $patience, sub { $t->stats->{open_streams} == 0 }), "$api: the upstream is closed behind a front");
}

# Collected answers and errors through gzip.
for my $plan ({ text => 'Hello ' x 50 }, { status => 400 }) {
    my $x = $t->openai_x(scripted($plan), path => '/gzip/v1/chat/completions', headers => [ 'Accept-Encoding' => 'gzip' ]);
    $t->run($x);
    is($x->header('content-encoding'), 'gzip', 'JSON is packed') if $plan->{text};
    $x->{body} = Compress::Zlib::memGunzip($x->{body}) if ($x->header('content-encoding') // '') eq 'gzip';
    $plan->{text} ? is($t->openai_object($x, 'packed')->{text}, $plan->{text}, 'the text') : $t->error_shape($x, 'openai', [ 400, 502 ], 'packed');
}

# HTTP/1.0, with and without keepalive.
for my $stream (1, 0) {
    my $body = json($t->openai_body(scripted({ text => 'Old' }), $stream ? (stream => JSON::PP::true) : ()));
    my $x = Test::Kiro::HTTP->new(port => $t->{port}, method => 'POST', raw =>
        "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: "
        . length($body) . "\r\n\r\n$body");
    $t->run($x);
    is($x->header('transfer-encoding'), undef, 'HTTP/1.0: no chunks');
    my $s = $stream ? $t->openai_stream($x, 'HTTP/1.0, stream') : $t->openai_object($x, 'HTTP/1.0');
    is($s->{text}, 'Old', 'the text');
}

# One connection: requests one after the other, and all at once.
sub request {
    my ($method, $path, $data, @headers) = @_;
    my $body = defined $data ? json($data) : '';
    my $head = "$method $path HTTP/1.1\r\nHost: localhost\r\n" . join '', map { "$_\r\n" } @headers;
    return $head . ($method eq 'POST' ? "Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n" : '') . "\r\n$body";
}
my $x;
my @steps = (
    [ 400, 'POST', request(POST => '/v1/chat/completions', {}) ],
    [ 404, 'POST', request(POST => '/v1/nothing', {}) ],
    [ 401, 'POST', request(POST => '/keyed/v1/messages', $t->anthropic_body('hello')) ],
    [ 405, 'GET',  request(GET => '/v1/chat/completions') ],
    [ 200, 'HEAD', request(HEAD => '/v1/messages') ],
    [ 204, 'OPTIONS', request(OPTIONS => '/v1/messages') ],
    [ 200, 'POST', request(POST => '/v1/messages', $t->anthropic_body(scripted({ words => 5 }), stream => JSON::PP::true)) ],
    [ 502, 'POST', request(POST => '/v1/messages', $t->anthropic_body(scripted({ status => 500 }))) ],
    [ 200, 'POST', request(POST => '/v1/chat/completions', $t->openai_body(scripted({ text => 'still here' }))) ],
);
for my $i (0 .. $#steps) {
    my ($status, $method, $text) = @{ $steps[$i] };
    if ($x) { $x->{method} = $method; $x->again($text) }
    else { $x = Test::Kiro::HTTP->new(port => $t->{port}, method => $method, raw => $text, keep => 1) }
    $t->run($x);
    is($x->{status}, $status, "request " . ($i + 1) . " on one connection") or diag $x->{error};
}
is(json($x->{body})->{choices}[0]{message}{content}, 'still here', 'the last answer');
close $x->{socket};

my @many = map { [ $_ % 2 ? ('POST', request(POST => '/v1/messages', $t->anthropic_body(scripted({ words => $_, gap_ms => 20 }), stream => JSON::PP::true)))
    : ('POST', request(POST => '/v1/chat/completions', $t->openai_body(scripted({ words => $_ })))) ] } 1 .. 6;
$x = Test::Kiro::HTTP->new(port => $t->{port}, method => 'POST', raw => join('', map { $_->[1] } @many), keep => 1);
for my $i (1 .. 6) {
    $i == 1 ? $t->run($x) : $t->run($x->again);
    my $s = $i % 2 ? $t->anthropic_stream($x, "pipelined $i") : $t->openai_object($x, "pipelined $i");
    is(scalar(split ' ', $s->{text}), $i, 'its own words');
}
close $x->{socket};

$t->done;
