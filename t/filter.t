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
EOT
)->start;

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
my $r = ($t->run($t->exchange('HEAD', '/openai/s01_text.bin')))[0];
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

$t->done;
