use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::SSE qw(check_openai check_anthropic);

# HTTP/3 clients: streams, errors, much text, clients who leave. Without reuseport nginx
# itself gives packets to workers that do not know the connection.

plan skip_all => 'no curl with HTTP/3' unless qx{curl --version 2>/dev/null} =~ /\bHTTP3\b/;
plan skip_all => 'no nginx with HTTP/3' unless qx{${\Test::Kiro::nginx_binary()} -V 2>&1} =~ /--with-http_v3_module/;

my $t = Test::Kiro->new(
    vars   => { TLS => Test::Kiro::free_port() },
    server => 'listen 127.0.0.1:%%TLS%% quic reuseport; listen 127.0.0.1:%%TLS%% ssl; ssl_certificate %%FILES%%/cert; ssl_certificate_key %%FILES%%/key;'
        . 'add_header Alt-Svc \'h3=":%%TLS%%"; ma=86400\' always;',
);
system "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout $t->{dir}/files/key -out $t->{dir}/files/cert >/dev/null 2>&1";
$t->start;
my $url = "https://127.0.0.1:$t->{vars}{TLS}";

sub curl {
    my ($seconds, $path, $data) = @_;
    Test::Kiro::spew("$t->{dir}/files/body", ref $data ? json($data) : $data);
    open my $fh, '-|', qw(curl -s -k -N --http3-only -H content-type:application/json -w), '\n%{http_code} %{http_version}',
        '-m', $seconds * Test::Kiro::patience(), '--data-binary', "\@$t->{dir}/files/body", "$url$path" or die $!;
    local $/;
    my $out = <$fh>;
    close $fh;
    my ($body, $status, $version) = $out =~ /\A(.*)\n(\d+) (\S+)\z/s;
    return ($status, $version, $body);
}

my $yes = JSON::PP::true;
my ($status, $version, $body) = curl(30, '/v1/chat/completions', $t->openai_body(scripted({ words => 20, gap_ms => 20 }), stream => $yes));
is("$status $version", '200 3', 'a stream over HTTP/3');
my $s = check_openai($body);
is_deeply($s->{faults}, [], 'its grammar');
is(scalar(split ' ', $s->{text}), 20, 'every word');

($status, undef, $body) = curl(30, '/v1/messages', $t->anthropic_body(scripted('500', 'ok'), stream => $yes));
is($status, 200, 'a retry');
is_deeply(check_anthropic($body)->{faults}, [], 'its grammar');

($status, undef, $body) = curl(30, '/v1/messages', '{');
is($status, 400, 'broken JSON');
is(json($body)->{type}, 'error', 'in the dialect');

($status, undef, $body) = curl(30, '/v1/chat/completions', $t->openai_body(scripted({ bytes => 3_000_000, piece => 10_000 }), stream => $yes));
is($status, 200, 'three megabytes');
is(length check_openai($body)->{text}, 3_000_000, 'all of them');

($status, undef, $body) = curl(30, '/v1/chat/completions', $t->openai_body('Long ' . 'x' x 300_000));
is($status, 200, 'a large request');
ok(length json($body)->{choices}[0]{message}{content}, 'its answer');

# The upstream of a client who leaves is closed: between tokens, and before the first.
for my $plan ({ words => 400, gap_ms => 50 }, { first_ms => 30_000 }, 'hang') {
    curl(1, '/v1/chat/completions', $t->openai_body(scripted($plan), stream => $yes));
    ok(Test::Kiro::wait_for(3 * Test::Kiro::patience(), sub { $t->stats->{open_streams} == 0 }), 'left: the upstream is closed');
}

$t->done;
