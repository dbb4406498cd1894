use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;
use Test::Kiro::SSE qw(check_openai check_anthropic);

# HTTP/2 clients: streams, errors, many requests on one connection, cancelling.

my $features = qx{curl --version 2>/dev/null};
plan skip_all => 'no curl with HTTP/2' unless $features =~ /\bHTTP2\b/;

my $new = Test::Kiro::nginx_version() >= 1_025_001;
my $t = Test::Kiro->new(listen => $new ? '' : 'http2', server => ($new ? 'http2 on;' : '') . 'location /small/v1/ { kiro_pass main; client_max_body_size 1k; }')->start;
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

$t->done;
