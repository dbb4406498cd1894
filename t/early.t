use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
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

my $seen = 0;
sub attempts { my $all = $t->stats->{generate}; my $new = $all - $seen; $seen = $all; return $new }

my $logged = 0;

for my $name (sort keys %api) {
    my $a = $api{$name};
    my $ask = sub {
        my ($where, $plan, %o) = @_;
        my $x = $a->{ask}->(scripted(ref $plan eq 'ARRAY' ? @$plan : $plan), stream => 1, path => "$where/v1/$a->{path}", %o);
        $t->run($x) unless $o{abort};
        $logged++;
        return $x;
    };

    my $r = $ask->('', { first_ms => 1500, text => 'Late but whole' });
    my $s = $a->{stream}->($r, "$name, a slow answer");
    is($s->{text}, 'Late but whole', 'the text');
    cmp_ok($s->{comments}, '>=', 3, 'comments in front of it');
    like($r->{body}, qr/\A(?:: keep-alive\n\n){3}/, 'in front of everything else');
    ok($r->{headers_at} > 0.3 && $r->{headers_at} < 1.2 * $patience, 'the headers came early') or diag $r->{headers_at};
    like($r->{head}, qr/^(?:x-)?request-id: req_/mi, 'with the request id');
    my @at = map { $r->time_of(14 * $_) } 1 .. 3;
    ok($at[2] < 1.4 * $patience && $at[2] > $at[0] + 0.2, 'the comments came when they were due') or diag "@at";
    my $log = $t->last_access($logged);
    is("$log->{status} $log->{error} $log->{attempts}", '200  1', 'log');
    cmp_ok($log->{ttft}, '>', 1.2, 'the time to the first token is that of the content');

    # Behind the headers all goes on as in front of them.
    attempts();
    $s = $a->{stream}->($ask->('', [ { status => 500, delay_ms => 800 }, { cut => 'request', delay_ms => 200 }, { text => 'Third' } ]), "$name, retries");
    is($s->{text}, 'Third', 'the text');
    is(attempts(), 3, 'three attempts');
    is($t->last_access($logged)->{error}, '', 'no error');

    $s = $a->{stream}->($ask->('/wait', [ { status => 500 }, { text => 'after the back-off' } ]), "$name, a wait between attempts");
    is($s->{text}, 'after the back-off', 'the text');
    cmp_ok($s->{comments}, '>=', 2, 'comments meanwhile');
    attempts();

    $s = $a->{stream}->($ask->('/token', [ { hang => $yes }, { text => 'second' } ]), "$name, kiro_first_token_timeout");
    is($s->{text}, 'second', 'the text');
    is(attempts(), 2, 'two attempts');

    # The failure of the last attempt.
    for my $fail (
        [ 'status 500',   { status => 500, delay_ms => 500 },  'upstream_error' ],
        [ 'a 400',        { status => 400, delay_ms => 800 },  'upstream_refused' ],
        [ 'an exception', { exception => { type => 'error', message => 'no', before => $yes }, first_ms => 800 }, undef ],
        [ 'silence',      'hang', 'upstream_timeout', '/token' ],
        )
    {
        my ($what, $plan, $kind, $where) = @$fail;
        $where //= '/twice';
        $r = $ask->($where, $plan);
        $s = $a->{stream}->($r, "$name, $what at last");
        ok($s->{error}, 'an error event');
        is($s->{text}, '', 'and no text');
        like($r->{body}, qr/\A(?:: keep-alive\n\n)+(?:event: error\n)?data: [^\n]+\n\n\z/, 'one event and nothing else')
            if $name ne 'responses';
        $log = $t->last_access($logged);
        is($log->{status}, 200, 'status in the log');
        is($log->{error}, $kind, '$kiro_error') if $kind;
    }
    attempts();

    # Before its time a failure has its status, and what is collected has no need of it.
    $r = $ask->('', { status => 400 });
    $t->error_shape($r, $name eq 'anthropic' ? $name : 'openai', [ 400, 500, 502 ], "$name, a quick refusal");
    $r = $ask->('/off', { first_ms => 1000, text => 'Late' });
    is($a->{stream}->($r, "$name, off")->{comments}, 0, 'no comments');
    cmp_ok($r->{headers_at}, '>', 0.9, 'no early headers');
    $r = $ask->('/one', { first_ms => 1000, text => 'Late' });
    is($a->{stream}->($r, "$name, no pings")->{comments}, 1, 'one comment');
    $r = $ask->('', { first_ms => 1000, text => 'Late' }, stream => 0);
    is($a->{object}->($r, "$name, collected")->{text}, 'Late', 'the text');
    cmp_ok($r->{headers_at}, '>', 0.9, 'no early headers');

    # gzip: each comment gets through at once.
    require Compress::Zlib;
    my $z = Compress::Zlib::inflateInit(-WindowBits => Compress::Zlib::WANT_GZIP());
    my ($plain, @when) = ('');
    $r = $ask->('/gzip', { first_ms => 1200, text => 'Late' }, headers => [ 'Accept-Encoding' => 'gzip' ], on_body => sub {
        my ($x, $piece) = @_;
        my $out = $z->inflate(my $in = $piece);
        $plain .= $out;
        push @when, time - $x->{started} if length $out;
    });
    is($r->header('content-encoding'), 'gzip', "$name: gzip");
    like($plain, qr/\A(?:: keep-alive\n\n){3}/, 'comments');
    cmp_ok($when[0], '<', 0.9 * $patience, 'the first when it is due');
    $r->{body} = $plain;
    is($a->{stream}->($r, 'behind gzip')->{text}, 'Late', 'the text');

    # Clients that leave.
    for my $mode (qw(close rst)) {
        $t->sim(POST => 'reset');
        my $x = $ask->('', { first_ms => 8000, text => 'late' }, abort => { after => 0.8, mode => $mode });
        $t->run($x);
        is($x->{status}, 200, "$name, $mode: left after the headers");
        ok(Test::Kiro::wait_for($patience, sub { $t->stats->{open_streams} == 0 }), 'the upstream is closed');
        is(join(' ', @{ $t->last_access($logged) }{qw(status error)}), '200 client_closed', 'log');

        $t->sim(POST => 'reset');
        $x = $ask->('/wait', [ { status => 500 }, {} ], abort => { after => 0.7, mode => $mode });
        $t->run($x);
        is($x->{status}, 200, "$name, $mode: left between attempts");
        $t->access($logged);
        sleep 1.2;
        is($t->stats->{generate}, 1, 'no other attempt');
        $seen = 0;
    }
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

$t->done;
