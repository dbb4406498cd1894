use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Digest::MD5 qw(md5_hex);
use Time::HiRes qw(time sleep);
use Test::Kiro;
use Test::Kiro::HTTP2;
use Test::Kiro::Provider;

# kiro_fallback: what the account cannot serve is another location's, with its body, as long as the client has got nothing.

my $p = Test::Kiro::patience();
my $true = JSON::PP::true;

# Locations with an account each: what one is refused is no other one's state.
sub account {
    my ($name, $more) = @_;
    return "kiro_account $name { %%SOURCE%% endpoint %%SCHEME%%://kiro_runtime; ssl_trusted_certificate %%CA%%; ssl_name localhost;"
        . " quota_retry off; suspended_retry off; cool_down off; @{[ $more // '' ]} }\n";
}

sub begin {
    my (%o) = @_;
    my $t = Test::Kiro->new(allow => qr{kiro_account "\w+"}, account => 'quota_retry off; suspended_retry off; cool_down off;',
        location => 'kiro_retries 1; kiro_fallback @other;', %o);
    my $other = Test::Kiro::Provider->new($t);
    $t->{vars} = { OTHER => '127.0.0.1:' . $other->port };
    $t->{http} = 'proxy_http_version 1.1; upstream other { server %%OTHER%% max_fails=0; keepalive 4; }' . ($o{http} // '');
    $t->{server} = 'location @other { proxy_pass http://other; proxy_set_header Connection ""; proxy_set_header Authorization "Bearer other-SECRET";'
        . ' proxy_buffering off; } ' . ($o{server} // '');
    return ($t->start, $other);
}

# The access log's records of requests, waited for.
sub logged {
    my ($t, $n, $fits) = @_;
    my @log;
    Test::Kiro::wait_for(5 * $p, sub { (@log = grep { $fits->() } $t->access(1)) >= $n });
    return @log;
}

sub of { my ($path) = @_; return sub { $_->{uri} eq $path } }

# --- the body is what the client sent, in every form --------------------------------------------------------------------

{
    my ($t, $other) = begin(server => 'client_body_buffer_size 8k;', key => 'client-key-SECRET');
    my %make = (openai => 'openai_x', anthropic => 'anthropic_x', responses => 'responses_x');
    my ($n, $attempts) = (0, 0);
    for my $api (sort keys %make) {
        for my $stream (0, 1) {
            for my $size (0, 6_000, 300_000) {
                my $make = $make{$api};
                my $name = "$api, " . ($stream ? 'streamed' : 'collected') . ", $size bytes more";
                my $x = $t->$make(scripted('quota') . ' ' . 'x' x $size, stream => $stream);
                $t->run(30, $x);
                is($x->{status}, 200, $name) or diag($x->{error} // $x->{body});
                my ($asked) = ($other->requests)[$n++];
                is($asked->{md5}, md5_hex($x->{send}), 'the body, byte for byte');
                is("$asked->{method} $asked->{path}", "POST $x->{path}", 'the path');
                is($asked->{headers}{authorization}, 'Bearer other-SECRET', 'its own key');
                is($x->header('content-type'), $stream ? 'text/event-stream' : 'application/json', 'its type');
                is(scalar(grep { /^(?:content-type|x-kiro|x-request-id|request-id|retry-after|cache-control):/i } split /\r\n/, $x->{head}), 1,
                    'no header of ours');
                if ($stream) { like($x->{body}, qr/"from".*"elsewhere"/s, 'its words') }
                else { is(json($x->{body})->{from}, 'elsewhere', 'its words') }
            }
        }
    }
    my @log = logged($t, $n, sub { 1 });
    is_deeply([ map { "$_->{status} $_->{fallback} $_->{attempts} $_->{account} $_->{client}" } @log ], [ ('200 quota 1 main tester') x $n ], 'the log');
    is($_->{error}, '', 'the client saw no failure') for $log[0];
    like($log[0]{upstream_status}, qr/^402 : 200$/, 'both upstreams');
    is($log[0]{model}, 'claude-sonnet-4.5', 'what was asked for');
    is($log[-1]{stream}, '1', 'a stream');
    is($t->stats->{generate}, $n, 'one try each');

    # Chunked, and one connection for all of it.
    my $body = json($t->openai_body(scripted('quota') . 'y' x 40_000));
    my $head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer client-key-SECRET\r\nContent-Type: application/json\r\n";
    my $x = $t->exchange(POST => '/v1/chat/completions', undef, keep => 1,
        raw => "${head}Transfer-Encoding: chunked\r\n\r\n" . join('', map { sprintf "%x\r\n%s\r\n", length, $_ } $body =~ /(.{1,7000})/gs) . "0\r\n\r\n");
    $t->run(30, $x);
    is($x->{status}, 200, 'chunked');
    is(($other->requests)[-1]{md5}, md5_hex($body), 'the body of a chunked request');
    for my $plan ('quota', 'ok', 'quota') {
        my $next = json($t->openai_body(scripted($plan)));
        $t->run(30, $x->again($head . 'Content-Length: ' . length($next) . "\r\n\r\n$next"));
        is($x->{status}, 200, "the connection goes on: $plan");
        is(!!($x->{body} =~ /elsewhere/), $plan eq 'quota', 'from where');
    }
    $x->{method} = 'HEAD';
    $t->run(10, $x->again($head =~ s{POST \S+}{HEAD /v1/}r . "\r\n"));
    is($x->{status}, 200, 'HEAD behind it');
    $t->stop;
}

# --- what falls back and what does not ----------------------------------------------------------------------------------

{
    my @cause = qw(quota auth outage busy);
    my %kind = (
        quota => [ quota => 'quota' ], suspended => [ auth => 'suspended' ], denied => [ auth => 'access_denied' ], 401 => [ auth => 'login_required' ],
        500 => [ outage => 'upstream_error' ], drop => [ outage => 'upstream_connect' ], mid => [ outage => 'upstream_cut' ], empty => [ outage => 'upstream_empty' ],
        page => [ outage => 'upstream_protocol' ], capacity => [ outage => 'overloaded' ], throttle => [ busy => 'rate_limited' ],
        overflow => [ none => 'context_overflow' ], 400 => [ none => 'upstream_refused' ],
    );
    # An API key that is refused is left alone for a while: an account each.
    my $n = 0;
    my (%at, @http, @server);
    for my $cause (@cause, 'default') {
        for my $plan (sort keys %kind) {
            my $place = $at{$cause}{$plan} = "a$n";
            push @http, account($place);
            push @server, "location /$place/v1/ { kiro_pass $place; kiro_retries 0; kiro_fallback \@other @{[ $cause eq 'default' ? '' : $cause ]}; }";
            $n++;
        }
    }
    my ($t, $other) = begin(main => '', http => 'kiro_zone all:16m;' . join('', @http), server => join "\n", @server);
    for my $cause (@cause, 'default') {
        my @x = map { $t->openai_x(scripted($_), path => "/$at{$cause}{$_}/v1/chat/completions", stream => $_ ne 'mid') } sort keys %kind;
        $t->run(60, @x);
        my $i = 0;
        for my $plan (sort keys %kind) {
            my ($of, $kind) = @{ $kind{$plan} };
            my $falls = $cause eq 'default' ? $of =~ /quota|auth|outage/ : $of eq $cause;
            my $x = $x[ $i++ ];
            my ($log) = logged($t, 1, of("/$at{$cause}{$plan}/v1/chat/completions"));
            is(($x->{body} =~ /elsewhere/ ? 'falls' : 'stays') . " $log->{fallback} $log->{error}", $falls ? "falls $kind " : "stays  $kind", "$cause: $plan");
        }
    }

    # Routes that never call, and requests that are the client's own fault.
    is($t->post("/$at{default}{quota}/v1/messages/count_tokens", $t->anthropic_body('count'))->{status}, 200, 'count_tokens');
    is($t->get("/$at{default}{quota}/v1/models")->{status}, 200, 'models');
    $t->error_shape($t->post("/$at{default}{quota}/v1/messages", '{'), 'anthropic', 400, 'bad JSON');
    $t->error_shape($t->post("/$at{default}{quota}/v1/nothing", '{}'), 'openai', 404, 'no route');
    $t->stop;
}

# --- an account that is not to be called, or has no place, falls back at once -------------------------------------------

{
    my ($t, $other) = begin(
        account => 'quota_retry 300s;', location => 'kiro_fallback @other quota busy;',
        http => account('one', 'kiro_concurrency 1 queue=0;'), server => 'location /one/v1/ { kiro_pass one; kiro_fallback @other busy; }',
    );
    for (1 .. 3) { like($t->openai(scripted('quota'))->{body}, qr/elsewhere/, 'exhausted') }
    is($t->stats->{generate}, 1, 'only the first one called');
    my @log = logged($t, 3, sub { 1 });
    is(join(' ', map { "$_->{fallback} $_->{attempts}" } @log), 'quota 1 quota 0 quota 0', 'the log');

    my $held = $t->openai_x(scripted({ first_ms => 1500 * $p, text => 'held' }), path => '/one/v1/chat/completions');
    Test::Kiro::wait_for(5 * $p, sub { $t->turn(0.02, $held); $t->stats->{open_streams} });
    like($t->openai('no place', path => '/one/v1/chat/completions', stream => 1)->{body}, qr/elsewhere/, 'no place');
    $t->run(20, $held);
    $t->openai_object($held, 'the one that has it');
    my ($busy) = logged($t, 1, sub { $_->{fallback} eq 'busy' });
    is($busy->{attempts}, 0, 'no call');
    $t->stop;
}

# --- behind the commit point there is no way back -----------------------------------------------------------------------

{
    my ($t, $other) = begin(location => 'kiro_retries 0; kiro_fallback @other;',
        server => 'location /early/v1/ { kiro_pass main; kiro_retries 0; kiro_early_headers 200ms; kiro_fallback @other; }');
    my $x = $t->openai(scripted({ words => 6, gap_ms => 20, cut => { events => 4 } }), stream => 1);
    is($x->{status}, 200, 'a stream that broke');
    unlike($x->{body}, qr/elsewhere/, 'stays what it was');
    $x = $t->anthropic(scripted({ status => 500, delay_ms => 900 * $p }), stream => 1, path => '/early/v1/messages');
    like($x->{body}, qr/^event: error$/m, 'headers were out: the dialect\'s error');
    is(scalar $other->requests, 0, 'the other one was not asked');
    is(join(' ', map { $_->{fallback} } logged($t, 2, sub { 1 })), ' ', 'the log');
    $t->stop;
}

# --- another account, a chain, a circle, a fallback that fails ----------------------------------------------------------

{
    my $two = Test::Kiro::free_port();
    my ($t, $other) = begin(
        location => 'kiro_retries 0; kiro_fallback @second;', http => account('second', 'kiro_concurrency 4;') . 'limit_req_zone $uri zone=l:64k rate=100r/s;',
        server => (Test::Kiro::nginx_version() >= 1_025_001 ? "listen 127.0.0.1:$two; http2 on;" : "listen 127.0.0.1:$two http2;") . q(
            location @second { kiro_pass second; kiro_retries 0; kiro_fallback @other; limit_req zone=l burst=5; }
            location = /metrics { kiro_metrics; }
            location /origins/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @other; kiro_cors_origin https://page.example; }
            location /circle/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @circle; }
            location @circle { kiro_pass second; kiro_retries 0; kiro_fallback @circle; }
            location /closed/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @closed; }
            location @closed { kiro_pass second; deny all; }
            location /plain/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @other; }
            location /dead/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @dead; }
            location @dead { proxy_pass http://127.0.0.1:1; }
            location /page/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @page; }
            location @page { proxy_pass http://127.0.0.1:1; error_page 502 = @text; }
            location @text { return 418 "a text of the operator"; }
            location /mirror/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @mirror; }
            location @mirror { mirror /copy; proxy_pass http://other; }
            location = /copy { internal; proxy_pass http://other; }
            location /text/v1/ { kiro_pass main; kiro_retries 0; kiro_fallback @just; }
            location @just { return 200 "just so"; }
        ),
    );
    my %shape = (openai => [ 'openai_x', 'openai_object', 'openai_stream' ], anthropic => [ 'anthropic_x', 'anthropic_object', 'anthropic_stream' ],
        responses => [ 'responses_x', 'responses_object', 'responses_stream' ]);
    for my $api (sort keys %shape) {
        for my $stream (0, 1) {
            my ($make, @check) = @{ $shape{$api} };
            my $check = $check[$stream];
            my $x = $t->$make(scripted('quota', 'ok') . 'z' x 50_000, stream => $stream);
            $t->run(30, $x);
            $t->$check($x, "$api $stream: by the second account");
        }
    }
    my @log = logged($t, 6, sub { 1 });
    is_deeply([ map { "$_->{fallback} $_->{attempts} $_->{account} $_->{error} $_->{stop}" =~ s/ \S+$//r } @log ], [ ('quota 2 second ') x 6 ], 'the log');
    cmp_ok($log[0]{output}, '>', 0, 'its tokens');

    my $x = $t->openai(scripted('quota', '500'));
    like($x->{body}, qr/elsewhere/, 'both failed, the third one answers');
    my ($chain) = logged($t, 1, sub { $_->{fallback} =~ /,/ });
    is("$chain->{fallback} | $chain->{attempts} | $chain->{account}", 'quota, upstream_error | 2 | second', 'the log');

    # Scripts of other origins, metrics.
    for my $path ('/plain', '/dead', '/origins') {
        my @h = $t->openai(scripted('quota'), path => "$path/v1/chat/completions", headers => [ Origin => 'https://page.example' ])->{head}
            =~ /^(Access-Control-Allow-Origin: .*?)\r?$/mg;
        is("@h", $path eq '/origins' ? 'Access-Control-Allow-Origin: https://page.example'
            : $path eq '/plain' ? 'Access-Control-Allow-Origin: https://elsewhere.example' : '', "$path: who may read it");
    }
    # A request is counted a moment after its client has the end of the answer.
    my $requests = logged($t, 10, sub { $_->{uri} ne '/metrics' });
    my ($counted, $sum);
    Test::Kiro::wait_for(5 * $p, sub {
        $counted = $t->get('/metrics')->{body};
        $sum = 0;
        $sum += $1 while $counted =~ /^kiro_requests_total\{[^}]*account="(?:main|second)"[^}]*\} (\d+)$/mg;
        return $sum >= $requests;
    });
    is($sum, $requests, 'each request is counted once');
    like($counted, qr/^kiro_requests_total\{[^}]*account="main"[^}]*status="200"[^}]*\} 2$/m, 'as one of the account that was to answer');

    ok(Test::Kiro::wait_for(5 * $p, sub { $t->get('/metrics')->{body} =~ /^kiro_open_requests 0$/m }), 'none is open');

    my $before = $t->stats->{generate};
    $t->error_shape($t->anthropic(scripted('quota'), path => '/circle/v1/messages'), 'anthropic', 402, 'a circle ends');
    is($t->stats->{generate} - $before, 2, 'after each account once');
    my ($circle) = logged($t, 1, of('/circle/v1/messages'));
    is("$circle->{fallback} $circle->{error}", 'quota quota', 'the log');

    $t->error_shape($t->anthropic(scripted('quota'), path => '/closed/v1/messages'), 'anthropic', 403, 'a location that refuses');
    $t->error_shape($t->anthropic(scripted('quota'), path => '/dead/v1/messages', stream => 1), 'anthropic', 502, 'a fallback that is not there');
    my ($dead) = logged($t, 1, of('/dead/v1/messages'));
    is("$dead->{fallback} $dead->{error} $dead->{attempts}", 'quota upstream_connect 1', 'the log');
    $x = $t->openai(scripted('quota'), path => '/page/v1/chat/completions');
    is("$x->{status} $x->{body}", '418 a text of the operator', 'error_page in the fallback');
    $x = $t->openai(scripted('quota'), path => '/text/v1/chat/completions');
    is("$x->{status} $x->{body}", '200 just so', 'an answer at once');

    $other->set(mode => 'error');
    $x = $t->openai(scripted('quota'), path => '/plain/v1/chat/completions');
    is($x->{status}, 500, 'a failure of the fallback');
    is(json($x->{body})->{error}{type}, 'elsewhere', 'as it is');
    $other->set(mode => 'drop');
    $t->error_shape($t->openai(scripted('quota'), path => '/plain/v1/chat/completions'), 'openai', 502, 'no answer');
    $other->set(mode => 'half');
    $x = $t->openai(scripted('quota'), path => '/plain/v1/chat/completions', stream => 1);
    ok($x->{error} || !$x->{whole}, 'half a stream is cut');
    $other->set(mode => 'ok');

    my $copies = $other->requests;
    is($t->openai(scripted('quota') . 'm' x 30_000, path => '/mirror/v1/chat/completions')->{status}, 200, 'a mirror in the fallback');
    Test::Kiro::wait_for(5 * $p, sub { $other->requests == $copies + 2 });
    my @two = ($other->requests)[ -2, -1 ];
    is($two[0]{md5}, $two[1]{md5}, 'both have the body');

    # HTTP/2, many at a time on one connection.
    my $c = Test::Kiro::HTTP2->new($two);
    my %id = map { my $body = json($t->openai_body(scripted('quota') . 'h' x (20_000 * $_), $_ % 2 ? (stream => $true) : ()));
        ($c->request(POST => '/plain/v1/chat/completions', $body) => $body) } 1 .. 3;
    ok($c->turn(20 * $p, sub { !grep { !$c->{streams}{$_}{ended} } keys %id }), 'HTTP/2');
    like($c->{streams}{$_}{body}, qr/elsewhere/, 'the answer') for keys %id;
    my %got = map { $_->{md5} => 1 } $other->requests;
    ok($got{ md5_hex($id{$_}) }, 'the body') for keys %id;
    $c->leave;
    $t->stop;
}

# --- clients that leave -------------------------------------------------------------------------------------------------

{
    my ($t, $other) = begin(location => 'kiro_retries 0; kiro_fallback @second;', http => account('second'),
        server => 'location @second { kiro_pass second; kiro_retries 0; }');
    my $x = $t->openai_x(scripted({ status => 402 }, { first_ms => 9000, text => 'late' }), stream => 1);
    Test::Kiro::wait_for(5 * $p, sub { $t->turn(0.05, $x); $t->stats->{open_streams} });
    close delete $x->{socket} if $x->{socket};
    ok(Test::Kiro::wait_for(5 * $p, sub { !$t->stats->{open_streams} }), 'the call of the fallback ends with its client');
    my ($log) = logged($t, 1, sub { 1 });
    is("$log->{status} $log->{error} $log->{fallback}", '499 client_closed quota', 'the log');
    $t->stop;
}

# --- the configuration --------------------------------------------------------------------------------------------------

for my $case (
    [ 'kiro_fallback @nowhere;', qr/"kiro_fallback" names the location "\@nowhere", which this server does not have, in \S+:\d+/ ],
    [ 'kiro_fallback other;', qr/needs a named location, "\@name"/ ],
    [ 'kiro_fallback @other overload;', qr/takes "quota", "auth", "outage" and "busy"/ ],
    [ 'kiro_fallback @other; kiro_fallback @other;', qr/is duplicate/ ],
) {
    my $t = Test::Kiro->new(location => $case->[0], server => 'location @other { return 200; }', sim => []);
    $t->start_sim;
    my ($status, $words) = $t->test_config;
    isnt($status, 0, $case->[0]);
    like($words, $case->[1], 'what is wrong');
    $t->{allow} = qr/kiro_fallback/;
    $t->stop;
}

done_testing;
