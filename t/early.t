use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Compress::Zlib ();
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;
use Test::Kiro::SSE qw(check_openai);

# A stream whose answer lets wait for itself gets headers and comments; attempts go on behind them, and a failure
# takes the form of the stream.

my $patience = Test::Kiro::patience();
my $yes = JSON::PP::true;
my $t = Test::Kiro->new(
    location => 'kiro_early_headers 400ms; kiro_ping_interval 200ms;',
    server   => <<'EOT',
        location /patient/v1/ { kiro_pass main; kiro_early_headers 20s; }
        location /off/v1/   { kiro_pass main; kiro_early_headers off; }
        location /one/v1/   { kiro_pass main; kiro_early_headers 300ms; kiro_ping_interval off; }
        location /wait/v1/  { kiro_pass main; kiro_early_headers 200ms; kiro_ping_interval 200ms; kiro_retry_delay 1500ms 2s; }
        location /twice/v1/ { kiro_pass main; kiro_early_headers 300ms; kiro_retries 1; }
        location /token/v1/ { kiro_pass main; kiro_early_headers 300ms; kiro_first_token_timeout 900ms; }
        location /gzip/v1/  { kiro_pass main; kiro_early_headers 300ms; kiro_ping_interval 200ms; gzip on; gzip_types text/event-stream; }
EOT
)->start;

my %api = (
    openai => {
        path => 'chat/completions', ask => sub { $t->openai_x(@_) },
        stream => sub { $t->openai_stream(@_) }, object => sub { $t->openai_object(@_) },
    },
    anthropic => {
        path => 'messages', ask => sub { $t->anthropic_x(@_) },
        stream => sub { $t->anthropic_stream(@_) }, object => sub { $t->anthropic_object(@_) },
    },
    responses => {
        path => 'responses', ask => sub { $t->responses_x(@_) },
        stream => sub { $t->responses_stream(@_) }, object => sub { $t->responses_object(@_) },
    },
);

# All at once. A case: what, where, plan, options, check(result, exchange, log record).
my @cases;
my $number = 0;

sub case {
    my ($api, $what, $where, $plan, $check, %o) = @_;
    my $a = $api{$api};
    my $stream = $o{stream} // 1;
    my %case = (name => "$api, $what", api => $api, check => $check, read => $a->{ $stream ? 'stream' : 'object' }, %o);
    $case{path} = "$where/v1/$a->{path}?n=" . ++$number;
    $case{x} = $a->{ask}->(scripted(ref $plan eq 'ARRAY' ? @$plan : $plan), stream => $stream, path => $case{path}, %{ $o{with} // {} });
    push @cases, \%case;
    return;
}

sub unpacked {
    my ($case) = @_;
    my $z = Compress::Zlib::inflateInit(-WindowBits => Compress::Zlib::WANT_GZIP());
    return (headers => [ 'Accept-Encoding' => 'gzip' ], on_body => sub {
        my ($x, $piece) = @_;
        my $out = $z->inflate(my $in = $piece);
        $case->{plain} .= $out;
        push @{ $case->{when} }, time - $x->{started} if length $out;
    });
}

for my $api (sort keys %api) {
    case($api, 'a slow answer', '', { first_ms => 1500 * $patience, text => 'Late but whole' }, sub {
        my ($s, $r, $log) = @_;
        is($s->{text}, 'Late but whole', 'the text');
        like($r->{body}, qr/\A(?:: keep-alive\n\n){3}/, 'comments in front of everything else');
        ok($r->{headers_at} > 0.3 && $r->{headers_at} < 1.2 * $patience, 'the headers came early') or diag $r->{headers_at};
        like($r->{head}, qr/^(?:x-)?request-id: req_/mi, 'with the request id');
        my @at = map { $r->time_of(14 * $_) } 1 .. 3;
        ok($at[2] < 1.4 * $patience && $at[2] > $at[0] + 0.2, 'the comments came when they were due') or diag "@at";
        is("$log->{status} $log->{error} $log->{attempts}", '200  1', 'log');
        cmp_ok($log->{ttft}, '>', 1.2, 'the time to the first token is that of the content');
    });

    # Behind the headers all goes on as in front of them.
    case($api, 'retries', '', [ { status => 500, delay_ms => 800 }, { cut => 'request', delay_ms => 200 }, { text => 'Third' } ], sub {
        my ($s, $r, $log) = @_;
        is("$s->{text} $log->{error}", 'Third ', 'the third attempt');
        cmp_ok($log->{attempts}, '>=', 2, 'which the log counts'); # not those on a connection that was closed already
    });
    case($api, 'a wait between attempts', '/wait', [ { status => 500 }, { text => 'after the back-off' } ], sub {
        my ($s, $r, $log) = @_;
        is("$s->{text} $log->{attempts}", 'after the back-off 2', 'the second attempt');
        cmp_ok($s->{comments}, '>=', 2, 'comments meanwhile');
    });
    case($api, 'kiro_first_token_timeout', '/token', [ { hang => $yes }, { text => 'second' } ], sub {
        my ($s, $r, $log) = @_;
        is("$s->{text} $log->{attempts}", 'second 2', 'the second attempt');
    });

    # The failure of the last attempt.
    for my $fail (
        [ 'status 500',   { status => 500, delay_ms => 500 },  'upstream_error' ],
        [ 'a 400',        { status => 400, delay_ms => 800 },  'upstream_refused' ],
        [ 'an exception', { exception => { type => 'error', message => 'no', before => $yes }, first_ms => 800 }, undef ],
        [ 'silence',      'hang', 'upstream_timeout', '/token' ],
        )
    {
        my ($what, $plan, $kind, $where) = @$fail;
        case($api, "$what at last", $where // '/twice', $plan, sub {
            my ($s, $r, $log) = @_;
            ok($s->{error}, 'an error event');
            is($s->{text}, '', 'and no text');
            like($r->{body}, qr/\A(?:: keep-alive\n\n)+(?:event: error\n)?data: [^\n]+\n\n\z/, 'one event and nothing else')
                if $api ne 'responses';
            is($log->{status}, 200, 'status in the log');
            is($log->{error}, $kind, '$kiro_error') if $kind;
        });
    }

    # Before its time a failure has its status, and what is collected has no need of it.
    case($api, 'a quick refusal', '/patient', { status => 400 }, undef, status => [ 400, 500, 502 ]);
    case($api, 'off', '/off', { first_ms => 1000, text => 'Late' }, sub {
        my ($s, $r) = @_;
        is($s->{comments}, 0, 'no comments');
        cmp_ok($r->{headers_at}, '>', 0.9, 'no early headers');
    });
    case($api, 'no pings', '/one', { first_ms => 1000, text => 'Late' }, sub { is($_[0]{comments}, 1, 'one comment') });
    case($api, 'collected', '', { first_ms => 1000, text => 'Late' }, sub {
        my ($s, $r) = @_;
        is($s->{text}, 'Late', 'the text');
        cmp_ok($r->{headers_at}, '>', 0.9, 'no early headers');
    }, stream => 0);

    # gzip: each comment gets through at once.
    my %packed = (plain => '');
    case($api, 'gzip', '/gzip', { first_ms => 1300 * $patience, text => 'Late' }, sub {
        my ($s, $r) = @_;
        is($r->header('content-encoding'), 'gzip', 'coding');
        like($packed{plain}, qr/\A(?:: keep-alive\n\n){3}/, 'comments');
        cmp_ok($packed{when}[0], '<', 0.9 * $patience, 'the first when it is due');
        is($s->{text}, 'Late', 'the text');
    }, packed => \%packed, with => { unpacked(\%packed) });
}
$t->run(60, map { $_->{x} } @cases);
my %log = map { $_->{uri} => $_ } $t->access(scalar @cases);
for my $case (@cases) {
    my $r = $case->{x};
    if ($case->{status}) {
        $t->error_shape($r, $case->{api} eq 'anthropic' ? 'anthropic' : 'openai', $case->{status}, $case->{name});
        next;
    }
    $r->{body} = $case->{packed}{plain} if $case->{packed};
    $case->{check}->($case->{read}->($r, $case->{name}), $r, $log{ $case->{path} });
}

# Clients that leave.
for my $mode (qw(close rst)) {
    $t->sim(POST => 'reset');
    my @x = map { $api{$_}{ask}->(scripted({ first_ms => 8000, text => 'late' }), stream => 1, path => "/v1/$api{$_}{path}?left=$mode",
        abort => { after => 0.8, mode => $mode }) } sort keys %api;
    $t->run(@x);
    is(join(' ', map { $_->{status} } @x), '200 200 200', "$mode: left after the headers");
    ok(Test::Kiro::wait_for($patience, sub { $t->stats->{open_streams} == 0 }), 'the upstreams are closed');
    is(scalar(grep { $_->{uri} =~ /left=$mode/ && "$_->{status} $_->{error}" eq '200 client_closed' } $t->access(++$number + 2)), 3, 'log');
    $number += 2;

    $t->sim(POST => 'reset');
    @x = map { $api{$_}{ask}->(scripted({ status => 500 }, {}), stream => 1, path => "/wait/v1/$api{$_}{path}",
        abort => { after => 0.7, mode => $mode }) } sort keys %api;
    $t->run(@x);
    is(join(' ', map { $_->{status} } @x), '200 200 200', "$mode: left between attempts");
    $number += 3;
    $t->access($number);
    sleep 1.2;
    is($t->stats->{generate}, 3, 'no other attempt');
}

# HTTP/1.0: until the connection is closed.
my $body = json($t->openai_body(scripted({ first_ms => 1000, text => 'Late' }), stream => $yes));
my $x = Test::Kiro::HTTP->new(port => $t->{port}, method => 'POST', raw =>
    "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
$t->run($x);
my $s = $t->openai_stream($x, 'HTTP/1.0');
is($s->{text}, 'Late', 'the text');
cmp_ok($s->{comments}, '>=', 2, 'comments');

# A client that does not read: no piling up, and all is there when it does.
$x = $t->openai_x(scripted({ first_ms => 2500, text => 'Late' }), stream => 1);
$t->turn(0.2, $x);
sleep 3;
$t->run($x);
is($t->openai_stream($x, 'a client that does not read')->{text}, 'Late', 'the text');

# A reload and a graceful stop wait for it.
my @late = map { $t->openai_x(scripted({ status => 500, delay_ms => 1500 }, { first_ms => 700, text => 'after the reload' }), stream => 1) } 1 .. 4;
$t->turn(0.8, @late);
$t->reload;
$t->run(20, @late);
is($t->openai_stream($_, 'over a reload')->{text}, 'after the reload', 'the text') for @late;

# HTTP/2.
SKIP: {
    skip 'no curl with HTTP/2', 3 unless qx{curl --version 2>/dev/null} =~ /\bHTTP2\b/;
    $t->{listen} = 'http2' if Test::Kiro::nginx_version() < 1_025_001;
    $t->{server} .= 'http2 on;' if Test::Kiro::nginx_version() >= 1_025_001;
    $t->reload;
    $t->sim(POST => 'reset');
    my $curl = sub {
        my ($plan, $seconds) = @_;
        Test::Kiro::spew("$t->{dir}/files/body", json($t->openai_body(scripted(@$plan), stream => $yes)));
        return scalar qx{curl -s -N --http2-prior-knowledge -m $seconds -H content-type:application/json --data-binary \@$t->{dir}/files/body http://127.0.0.1:$t->{port}/v1/chat/completions};
    };
    my $s = check_openai($curl->([ { status => 500, delay_ms => 900 }, { text => 'Late' } ], 30));
    is_deeply($s->{faults}, [], 'HTTP/2: grammar');
    is($s->{text}, 'Late', 'the text');
    cmp_ok($s->{comments}, '>=', 2, 'comments');
    my $cut = $curl->([ { first_ms => 9000, text => 'Late' } ], 1);
    like($cut, qr/\A(?:: keep-alive\n\n)+\z/, 'HTTP/2: cancelled after the headers');
    ok(Test::Kiro::wait_for($patience, sub { $t->stats->{open_streams} == 0 }), 'the upstream is closed');
    $s = check_openai($curl->([ { status => 500, delay_ms => 500 } ], 30));
    ok($s->{error}, 'HTTP/2: the failure is in the stream');
    is_deeply($s->{faults}, [], 'grammar');
}
$t->stop;

# Over TLS.
SKIP: {
    skip 'no curl with TLS', 1 if qx{curl --version 2>/dev/null} !~ /https/;
    my $new = Test::Kiro::nginx_version() >= 1_025_001;
    my $t = Test::Kiro->new(vars => { TLS => Test::Kiro::free_port() }, location => 'kiro_early_headers 300ms; kiro_ping_interval 200ms;',
        server => 'listen 127.0.0.1:%%TLS%% ssl' . ($new ? '; http2 on' : ' http2') . '; ssl_certificate %%FILES%%/cert; ssl_certificate_key %%FILES%%/key;');
    system "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $t->{dir}/files/key -out $t->{dir}/files/cert >/dev/null 2>&1";
    $t->start;
    for my $version (qw(http1.1 http2)) {
        for my $plan ([ { status => 500, delay_ms => 900 }, { first_ms => 500, text => 'Late' } ], [ { status => 400, delay_ms => 900 } ]) {
            Test::Kiro::spew("$t->{dir}/files/body", json($t->openai_body(scripted(@$plan), stream => $yes)));
            my $s = check_openai(scalar qx{curl -s -k -N --$version -m 30 -H content-type:application/json --data-binary \@$t->{dir}/files/body https://127.0.0.1:$t->{vars}{TLS}/v1/chat/completions});
            is_deeply($s->{faults}, [], "TLS, $version: grammar");
            cmp_ok($s->{comments}, '>=', 2, 'comments');
            @$plan > 1 ? is($s->{text}, 'Late', 'the text') : ok($s->{error}, 'the error');
        }
    }
    $t->stop;
}

# Waiting for a token.
for my $auth ([ 'in time' => { delay_ms => 1500 } ], [ 'never' => { hang => $yes } ]) {
    my ($name, $plan) = @$auth;
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 3s; refresh_timeout 4s;',
        location => 'kiro_early_headers 300ms; kiro_ping_interval 200ms;');
    $t->start_sim;
    $t->sim(POST => 'auth', { plan => [$plan] });
    $t->start_nginx;
    my $r = $t->anthropic('a token that comes ' . $name, stream => 1);
    my $s = $t->anthropic_stream($r, "a token that comes $name");
    cmp_ok($s->{comments}, '>=', 3, 'comments meanwhile');
    if ($name eq 'never') {
        ok($s->{error}, 'an error event');
        is($t->last_access(1)->{error}, 'token_timeout', '$kiro_error');
    }
    else { like($s->{text}, qr/a token that comes/, 'the text') }
    $t->stop;
}

# A shutdown that does not wait for ever.
{
    my $t = Test::Kiro->new(main => 'worker_shutdown_timeout 1s;', location => 'kiro_early_headers 200ms; kiro_ping_interval 100ms;')->start;
    my @x = map { $t->openai_x(scripted($_), stream => 1) } { first_ms => 30_000 }, 'hang', { status => 500, delay_ms => 30_000 };
    $t->turn(0.8, @x);
    is(join(' ', map { $_->{status} // 'none' } @x), '200 200 200', 'early headers');
    ok($t->stop_nginx('quit', 8), 'worker_shutdown_timeout ends them');
    $t->turn(1, @x);
    ok($_->{error}, 'which a client notices') for @x;
    $t->stop;
}

$t->done;
