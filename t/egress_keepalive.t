use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# An account whose endpoint is a plain host keeps its own connections.

my $plain = 'credentials_file %%CREDENTIALS%%; endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; models_interval off;
    ssl_trusted_certificate %%CA%%; ssl_name localhost; state_path %%STATE%%;';

sub plain { my ($more) = @_; return "kiro_account plain { $plain @{[ $more // '' ]} }" }

for my $scheme (qw(https http)) {
    my $t = Test::Kiro->new(
        scheme => $scheme, workers => 1, account => 'models_interval off;', http => plain(),
        server => 'location /plain/v1/ { kiro_pass plain; }',
    )->start;
    my @path = (path => '/plain/v1/chat/completions');

    for (1 .. 10) {
        my $r = $t->openai(scripted('500', '429', 'ok'), stream => $_ % 2, @path);
        is($r->{status}, 200, "$scheme: request $_");
    }
    for my $framing (qw(chunked length)) {
        $t->openai_object($t->openai(scripted({ text => 'abc', framing => $framing }), @path), "$scheme, $framing") for 1 .. 5;
    }
    my $s = $t->stats;
    is($s->{generate}, 40, "$scheme: forty upstream requests");
    is($s->{connections_accepted}, 1, "$scheme: on one connection");

    # One of all that were needed at once is enough afterwards, and all are kept.
    my @x = map { $t->openai_x(scripted({ words => 5, gap_ms => 100 }), stream => 1, @path) } 1 .. 8;
    $t->run(30, @x);
    is(scalar(grep { $_->{status} == 200 } @x), 8, "$scheme: eight at once");
    my $n = $t->stats->{connections_accepted};
    @x = map { $t->openai_x(scripted({ words => 5, gap_ms => 100 }), stream => 1, @path) } 1 .. 8;
    $t->run(30, @x);
    is($t->stats->{connections_accepted}, $n, "$scheme: eight more need no new connection");

    # An answer that ends with its connection is not kept, and nothing breaks.
    $t->openai_object($t->openai(scripted({ text => 'abc', framing => 'close' }), @path), "$scheme, until close");
    $t->openai_object($t->openai(scripted({ text => 'abc', close => JSON::PP::true }), @path), "$scheme, Connection: close");
    $t->openai_object($t->openai('hello', @path), "$scheme, afterwards");

    my $log = $t->last_access;
    like($log->{upstream}, qr/^127\.0\.0\.1:\d+$/, "$scheme: \$upstream_addr");
    is($log->{upstream_status}, 200, "$scheme: \$upstream_status");

    # A reload with idle connections.
    my @old = $t->workers;
    $t->reload;
    ok(Test::Kiro::wait_for(5 * Test::Kiro::patience(), sub { !grep { kill 0, $_ } @old }), "$scheme: the old worker ended at once");
    $t->openai_object($t->openai('hello again', @path), "$scheme, after the reload");
    is(scalar($t->grep_log(qr/open socket/)), 0, "$scheme: no open socket left");
    $t->stop;
}

done_testing;
