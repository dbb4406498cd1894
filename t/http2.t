use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;
use Test::Kiro::HTTP2;
use Test::Kiro::SSE qw(check_openai check_anthropic);

# HTTP/2 clients: streams, errors, many requests on one connection, cancelling.

my $features = qx{curl --version 2>/dev/null};
plan skip_all => 'no curl with HTTP/2' unless $features =~ /\bHTTP2\b/;

my $new = Test::Kiro::nginx_version() >= 1_025_001;
my $t = Test::Kiro->new(listen => $new ? '' : 'http2', server => ($new ? 'http2 on;' : '') . 'location /small/v1/ { kiro_pass main; client_max_body_size 1k; }'
    . 'location /early/v1/ { kiro_pass main; kiro_early_headers 200ms; kiro_ping_interval 100ms; }')->start;
my $url = "http://127.0.0.1:$t->{port}";
my @curl = qw(curl -s -N --http2-prior-knowledge -m 30 -H content-type:application/json);

sub curl {
    my ($path, $data, @more) = @_;
    Test::Kiro::spew("$t->{dir}/files/body", ref $data ? json($data) : $data);
    open my $fh, '-|', @curl, '-w', '\n%{http_code} %{http_version}', '--data-binary', "\@$t->{dir}/files/body",
        @more, "$url$path" or die $!;
    local $/;
    my $out = <$fh>;
    close $fh;
    my ($body, $status, $version) = $out =~ /\A(.*)\n(\d+) (\S+)\z/s;
    return ($status, $version, $body);
}

my ($status, $version, $body) = curl('/v1/chat/completions',
    $t->openai_body(scripted({ words => 20, gap_ms => 20 }), stream => JSON::PP::true));
is($version, 2, 'HTTP/2 was spoken');
is($status, 200, 'a stream');
my $s = check_openai($body);
is_deeply($s->{faults}, [], 'its grammar');
is(scalar(split ' ', $s->{text}), 20, 'every word');

($status, undef, $body) = curl('/v1/messages', $t->anthropic_body(scripted('500', 'ok'), stream => JSON::PP::true));
is($status, 200, 'a retry');
is_deeply(check_anthropic($body)->{faults}, [], 'its grammar');

($status, undef, $body) = curl('/v1/messages', '{');
is($status, 400, 'broken JSON');
is(json($body)->{type}, 'error', 'in the dialect');

# nginx answers before it has read the body and resets the stream; curl often
# reports the reset instead of the answer.
for (1 .. 20) {
    ($status, undef, $body) = curl('/small/v1/chat/completions', $t->openai_body('x' x 3_000), '-s');
    last if $status == 413;
}
is(($t->access(4))[3]{status}, 413, 'too large');
SKIP: {
    skip 'curl saw only resets', 1 unless $status == 413;
    ok(ref json($body)->{error}, 'in the dialect');
}

($status, undef, $body) = curl('/v1/chat/completions', $t->openai_body(scripted({ bytes => 3_000_000, piece => 10_000 }), stream => JSON::PP::true));
is($status, 200, 'three megabytes');
is(length check_openai($body)->{text}, 3_000_000, 'all of them');

# Several at once on one connection.
for my $i (1 .. 6) {
    Test::Kiro::spew("$t->{dir}/files/body$i", json($t->openai_body(scripted({ words => 10, gap_ms => 50 }), stream => JSON::PP::true)));
}
my @many;
for my $i (1 .. 6) {
    push @many, '--next' if $i > 1;
    push @many, qw(-sS --http2-prior-knowledge -H content-type:application/json), '--data-binary', "\@$t->{dir}/files/body$i", '-o',
        "$t->{dir}/files/out$i", "$url/v1/chat/completions";
}
is(system(qw(curl --no-progress-meter --parallel --parallel-immediate), @many), 0, 'six at once') if $features =~ /curl (?:[89]|7\.(?:6[6-9]|[7-9]\d))/;
for my $i (1 .. 6) {
    my $c = check_openai(Test::Kiro::slurp("$t->{dir}/files/out$i"));
    is_deeply($c->{faults}, [], "stream $i");
    is(scalar(split ' ', $c->{text}), 10, "stream $i: every word");
}

# Cancelled streams close the upstream.
Test::Kiro::spew("$t->{dir}/files/body", json($t->openai_body(scripted({ words => 300, gap_ms => 50 }), stream => JSON::PP::true)));
system "curl -sS --http2-prior-knowledge -m 1 -H content-type:application/json --data-binary \@$t->{dir}/files/body $url/v1/chat/completions >/dev/null 2>&1";
ok(Test::Kiro::wait_for(2 * Test::Kiro::patience(), sub { $t->stats->{open_streams} == 0 }), 'the upstream is closed');

# One stream is reset, or never let in: its upstream is closed, the neighbours go on.
my $ask = sub {
    my ($c, $plan, $api) = @_;
    my $body = ($api // '') eq 'anthropic' ? $t->anthropic_body(scripted($plan), stream => JSON::PP::true)
        : $t->openai_body(scripted($plan), stream => JSON::PP::true);
    return $c->request(POST => ($api // '') eq 'anthropic' ? '/v1/messages' : '/v1/chat/completions', json($body));
};
$t->sim(POST => 'reset');
my $c = Test::Kiro::HTTP2->new($t->{port});
my $stays = $ask->($c, { words => 40, gap_ms => 50 });
my @leave = ($ask->($c, { words => 400, gap_ms => 20 }, 'anthropic'), $ask->($c, { first_ms => 9000, text => 'late' }), $ask->($c, 'hang'));
my $streams = $c->{streams};
ok($c->turn(5 * Test::Kiro::patience(), sub { length $streams->{$stays}{body} && length $streams->{ $leave[0] }{body}
    && $t->stats->{open_streams} == 4 }), 'four streams on one connection');
$c->reset($_) for @leave;
my $began = time;
ok($c->turn(5 * Test::Kiro::patience(), sub { $t->stats->{open_streams} == 1 }), 'three are reset: their upstreams are closed');
cmp_ok(time - $began, '<', 0.5 * Test::Kiro::patience(), 'at once');
ok($c->turn(10 * Test::Kiro::patience(), sub { $streams->{$stays}{ended} }), 'the fourth goes on');
my $checked = check_openai($streams->{$stays}{body});
is_deeply($checked->{faults}, [], 'its grammar');
is(scalar(split ' ', $checked->{text}), 40, 'every word');
my $after = $ask->($c, { text => 'After the resets' });
ok($c->turn(10 * Test::Kiro::patience(), sub { $streams->{$after}{ended} }), 'and so does the connection');
is(check_openai($streams->{$after}{body})->{text}, 'After the resets', 'the text');
my $head = $c->request(HEAD => '/v1/messages');
my $wrong = $c->request(GET => '/v1/nothing');
ok($c->turn(5 * Test::Kiro::patience(), sub { $streams->{$head}{ended} && $streams->{$wrong}{ended} }), 'HEAD and a route that there is not');
is($streams->{$head}{body}, '', 'no body');
is(json($streams->{$wrong}{body})->{error}{code}, 'unknown_url', 'an error');
$c->leave;

$t->sim(POST => 'reset');
$c = Test::Kiro::HTTP2->new($t->{port}, window => 0);
my $shut = $ask->($c, { words => 20, gap_ms => 20 });
ok($c->turn(5 * Test::Kiro::patience(), sub { length $c->{streams}{$shut}{head} }), 'a window that is shut: headers');
$c->turn(1);
is($c->{streams}{$shut}{body}, '', 'and nothing else');
$c->widen($shut, 100_000);
ok($c->turn(10 * Test::Kiro::patience(), sub { $c->{streams}{$shut}{ended} }), 'it opens');
is_deeply(check_openai($c->{streams}{$shut}{body})->{faults}, [], 'all of it comes');

# The same with headers that come early: comments wait as well, and the failure behind them.
for my $plan ({ first_ms => 1500, text => 'Late' }, { status => 400, delay_ms => 1500 }) {
    my $id = $c->request(POST => '/early/v1/chat/completions', json($t->openai_body(scripted($plan), stream => JSON::PP::true)));
    my $s = $c->{streams}{$id};
    ok($c->turn(1.2, sub { length $s->{head} }), 'early headers') if $plan->{text};
    $c->turn(2);
    is($s->{body}, '', 'nothing else');
    $c->widen($id, 100_000);
    ok($c->turn(10 * Test::Kiro::patience(), sub { $s->{ended} }), 'it opens');
    my $checked = check_openai($s->{body});
    is_deeply($checked->{faults}, [], 'all of it comes');
    cmp_ok($checked->{comments}, '<=', 3, 'and few comments') or diag $checked->{comments};
    $plan->{text} ? is($checked->{text}, 'Late', 'the text') : ok($checked->{error}, 'the error');
}
my $never = $c->request(POST => '/early/v1/messages', json($t->anthropic_body(scripted({ first_ms => 9000 }), stream => JSON::PP::true)));
$c->turn(0.8);
$c->reset($never);
ok($c->turn(5 * Test::Kiro::patience(), sub { $t->stats->{open_streams} == 0 }), 'reset after early headers: the upstream is closed');
$c->leave;

$t->done;
