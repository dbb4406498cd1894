use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_filter turns any event stream into a dialect's: a file, a proxied answer.

my $vectors = Test::Kiro::root() . '/gtest/data/vectors';
my $t = Test::Kiro->new(
    server => <<"EOT",
        location /openai/    { alias $vectors/; kiro_filter openai; types { application/vnd.amazon.eventstream bin; } }
        location /anthropic/ { alias $vectors/; kiro_filter anthropic; types { application/vnd.amazon.eventstream bin; } }
        location /type/      { alias $vectors/; kiro_filter openai; types { application/octet-stream bin; } }
        location /proxy/     { proxy_pass http://127.0.0.1:%%PORT%%/raw/; proxy_buffering off; kiro_filter anthropic; }
        location /buffered/  { proxy_pass http://127.0.0.1:%%PORT%%/raw/; kiro_filter openai; }
        location /raw/       { alias $vectors/; types { application/vnd.amazon.eventstream bin; } }
        location = /direct   {
            proxy_pass http://%%SIM%%/; proxy_buffering off; proxy_http_version 1.1; kiro_filter openai;
            proxy_set_header Authorization "Bearer \$http_x_key"; proxy_set_header TokenType API_KEY;
            proxy_set_header x-amz-target KiroRuntimeService.GenerateAssistantResponse;
            proxy_set_header Content-Type application/x-amz-json-1.0;
        }
        location /cut/ {
            location /cut/on/openai    { include %%FILES%%/direct; kiro_filter openai; }
            location /cut/on/anthropic { include %%FILES%%/direct; kiro_filter anthropic; }
            location /cut/on/responses { include %%FILES%%/direct; kiro_filter responses; }
            location /cut/off/openai    { include %%FILES%%/direct; proxy_buffering off; kiro_filter openai; }
            location /cut/off/anthropic { include %%FILES%%/direct; proxy_buffering off; kiro_filter anthropic; }
            location /cut/off/responses { include %%FILES%%/direct; proxy_buffering off; kiro_filter responses; }
            location /cut/gzip/openai   { include %%FILES%%/direct; proxy_buffering off; kiro_filter openai; gzip on; gzip_types *; gzip_min_length 1; }
        }
        location /gzipped/  { proxy_pass http://127.0.0.1:%%PORT%%/source/; kiro_filter openai; }
        location /source/   { alias $vectors/; types { application/vnd.amazon.eventstream bin; } gzip on; gzip_types *; gzip_min_length 1; gzip_http_version 1.0; gzip_proxied any; }
        location /down/     { proxy_pass http://127.0.0.1:1/; kiro_filter openai; }
EOT
);
$t->start_sim;
Test::Kiro::spew("$t->{dir}/files/direct", $t->fill(<<'EOT'), 0644);
proxy_pass http://%%SIM%%/;
proxy_http_version 1.1;
proxy_read_timeout 700ms;
proxy_set_header Connection '';
proxy_set_header Authorization "Bearer $http_x_key";
proxy_set_header TokenType API_KEY;
proxy_set_header x-amz-target KiroRuntimeService.GenerateAssistantResponse;
proxy_set_header Content-Type application/x-amz-json-1.0;
EOT
$t->start_nginx;

my %text;
for my $name (qw(s01_text s02_text_then_tool s03_two_tools s08_utf8_chunks s10_repeated_text)) {
    my $o = $t->openai_stream($t->get("/openai/$name.bin"), "openai, $name");
    my $a = $t->anthropic_stream($t->get("/anthropic/$name.bin"), "anthropic, $name");
    is($o->{text}, $a->{text}, "$name: the same text");
    is(scalar @{ $o->{tools} }, scalar @{ $a->{tools} }, "$name: the same tools");
    my $p = $t->anthropic_stream($t->get("/proxy/$name.bin"), "proxied, $name");
    is($p->{text}, $a->{text}, "$name: the same through proxy_pass");
    my $b = $t->openai_stream($t->get("/buffered/$name.bin"), "proxied with buffering, $name");
    is($b->{text}, $o->{text}, "$name: the same with buffering");
    $text{$name} = $o->{text};
}
ok(length $text{s01_text}, 's01_text has a text');

for my $name (qw(s12_cut_at_frame_boundary s13_cut_inside_frame s15_midstream_exception n01_bad_prelude_crc n02_bad_message_crc)) {
    for my $api (qw(openai anthropic)) {
        my $r = $t->get("/$api/$name.bin");
        ok(!$r->{error}, "$name, $api: the response ends cleanly") or diag $r->{error};
        if (($r->header('content-type') // '') =~ /event-stream/) {
            my $s = $api eq 'openai' ? $t->openai_stream($r, "$name, $api") : $t->anthropic_stream($r, "$name, $api");
            my $cut = $s->{finish} // $s->{stop} // '';
            ok($s->{error} || $cut =~ /^(?:length|max_tokens)$/, "$name, $api: not as if it were whole") or diag $cut;
        }
        else { $t->error_shape($r, $api, [ 500, 502 ], "$name, $api") }
    }
}

my $raw = Test::Kiro::slurp("$vectors/s01_text.bin");
ok($t->get('/type/s01_text.bin')->{body} eq $raw, 'another content type passes as it is');
ok($t->get('/raw/s01_text.bin')->{body} eq $raw, 'and so does a location without the filter');
is($t->get('/openai/none.bin')->{status}, 404, 'an error keeps its status');
my $r = $t->get('/openai/s01_text.bin', headers => [ Range => 'bytes=10-20' ]);
is($t->openai_stream($r, 'a range is not cut out of it')->{text}, $text{s01_text}, 'the text');
is($r->header($_), undef, "no $_") for qw(etag last-modified accept-ranges content-range content-length);
$r = $t->get('/raw/s01_text.bin', headers => [ Range => 'bytes=10-20' ]);
is(length $r->{body}, 11, 'as it is of the file');
$r = $t->get('/proxy/s01_text.bin', headers => [ Range => 'bytes=10-20' ]);
is($r->{status}, 206, 'a part that another server sends');
is(length $r->{body}, 11, 'stays a part');
$r = $t->get('/gzipped/s01_text.bin', headers => [ 'Accept-Encoding' => 'gzip' ]);
is($r->header('content-encoding'), 'gzip', 'gzip of the upstream stays');
like($r->header('content-type'), qr/amazon/, 'with its type');
ok(scalar($t->grep_log(qr/kiro_filter cannot read a response that is encoded with "gzip"/)), 'the log says so');
is($t->openai_stream($t->get('/gzipped/s01_text.bin'), 'without gzip')->{text}, $text{s01_text}, 'the text');
is($t->get('/down/s01_text.bin')->{status}, 502, 'an upstream that is not there');
is($t->get('/proxy/none.bin')->{status}, 404, 'an error of the upstream');
$r = ($t->run($t->exchange('HEAD', '/proxy/s01_text.bin')))[0];
is("$r->{status} " . ($r->{in} // ''), '200 ', 'HEAD of the upstream');
$r = ($t->run($t->exchange('HEAD', '/openai/s01_text.bin')))[0];
is($r->{status}, 200, 'HEAD');
is($r->{body}, '', 'without a body');

# Every vector, whatever is in it, ends somehow and harms nobody.
for my $file (glob "$vectors/*.bin") {
    my ($name) = $file =~ m{([^/]+)$};
    for my $api (qw(openai anthropic)) {
        my $x = $t->get("/$api/$name");
        ok(!$x->{error} || $x->{error} =~ /closed/, "$name, $api");
    }
}

# A live stream through proxy_pass keeps its pace.
$t->openai(scripted({ words => 8, gap_ms => 150 }));
my $body = json(($t->seen)[-1]{body});
$r = $t->post('/direct', $body, headers => [ 'X-Key' => $t->{simulator}{api_key} ]);
my $s = $t->openai_stream($r, 'live through proxy_pass');
is(scalar(split ' ', $s->{text}), 8, 'every word');
my @at = map { $r->time_of($_->[0]) } @{ $s->{texts} };
cmp_ok(($at[-1] // 0) - ($at[0] // 0), '>', 0.6, 'one after the other');

# The upstream breaks behind its headers: a legal end in the dialect, whatever nginx knew of it.
my %read = (openai => sub { $t->openai_stream(@_) }, anthropic => sub { $t->anthropic_stream(@_) }, responses => sub { $t->responses_stream(@_) });
$body = json($body) unless ref $body;
my @keyed = (headers => [ 'X-Key' => $t->{simulator}{api_key} ]);
sub direct {
    my ($where, $plan, %o) = @_;
    $body->{conversationState}{currentMessage}{userInputMessage}{content} = scripted($plan);
    return $t->exchange('POST', "/cut/$where", $body, @keyed, %o);
}
my $whole = 'One two three four five six seven eight.';
my $n = 0;
for my $api (sort keys %read) {
    for my $way (qw(on off)) {
        my @x;
        for my $framing (qw(chunked length close)) {
            for my $mode (qw(fin rst hang)) {
                for my $cut ({ bytes => 1 }, { bytes => 11 }, { bytes => 100 + int rand 200 }, { bytes => 333 }, { events => 1 }, { events => 3 }, { events => 5 }) {
                    my $plan = { text => $whole, framing => $framing, cut => { %$cut, mode => $mode } };
                    push @x, [ direct("$way/$api", $plan), "$api, buffering $way, $framing, $mode, " . json($cut), "$framing $mode" ];
                }
            }
        }
        $t->run(30, map { $_->[0] } @x);
        for (@x) {
            my ($r, $name, $kind) = @$_;
            my $s = $read{$api}->($r, $name);
            my $end = $s->{finish} // $s->{stop} // $s->{why} // '';
            ok($s->{error} || $end =~ /^(?:length|max_tokens|max_output_tokens)$/, 'not as if it were whole') or diag $r->{body};
            ok($s->{error}, 'an error event') unless $kind eq 'close fin';
            is(substr($whole, 0, length $s->{text}), $s->{text}, 'what came is there');
            ok(!$r->{error}, 'the response ends as HTTP wants it') or diag $r->{error};
            $n++ if $s->{error};
        }
        my $r = direct("$way/$api", { text => $whole });
        $t->run($r);
        is($read{$api}->($r, "$api, buffering $way, whole")->{text}, $whole, 'the text');
    }
}
cmp_ok(scalar(grep { $_->{uri} =~ m{^/cut/} && $_->{error} eq 'upstream_cut' } $t->access), '>=', $n, '$kiro_error of all of them');

# The end of a stream that the client is slow to read, and behind gzip.
my $x = direct('off/openai', { bytes => 3_000_000, piece => 10_000, cut => { bytes => 2_500_000, mode => 'rst' } }, pause => { bytes => 1000, for => 2 });
$t->run($x);
$s = $t->openai_stream($x, 'a slow client');
ok($s->{error}, 'an error event');
cmp_ok(length $s->{text}, '>', 1_000_000, 'behind what came');
$x = direct('gzip/openai', { text => $whole, gap_ms => 50, cut => { events => 3, mode => 'rst' } }, headers => [ @{ $keyed[1] }, 'Accept-Encoding' => 'gzip' ]);
$t->run($x);
require IO::Uncompress::Gunzip;
IO::Uncompress::Gunzip::gunzip(\(my $in = $x->{body}), \my $plain);
$x->{body} = $plain;
ok($t->openai_stream($x, 'behind gzip')->{error}, 'an error event');

$t->done;
