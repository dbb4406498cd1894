use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Tokens come one by one, as the upstream sends them: while the upstream holds the
# next event back, the client has all events before it, the first one included.

my $t = Test::Kiro->new(server => '        location /slow/ { kiro_pass main; limit_rate 1k; }')->start;
my $words = 6;
my %delta = (openai => qr/"delta":\{"content":"/, anthropic => qr/"text_delta"/);

for my $api (qw(openai anthropic)) {
    for my $chunked (0, 1) {
        for my $n (1, 2, 5) {
            my $name = ($chunked ? "$api, in small chunks" : $api) . ", $n of $words";
            my $hold = "$api-$chunked-$n";
            my $prompt = scripted({ words => $words, gap_ms => 0, hold => $hold, hold_at => $n, $chunked ? (chunk => 40) : () });
            my $x = $api eq 'openai' ? $t->openai_x($prompt, stream => 1) : $t->anthropic_x($prompt, stream => 1);
            my $have = sub { my $b = $x->{body} // ''; scalar(() = $b =~ /$delta{$api}/g) };

            ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { $t->turn(0.05, $x); $have->() >= $n }),
                "$name: arrived while the next one is held");
            is($have->(), $n, "$name: and no more");
            ok(!$x->{done}, "$name: the stream is open");

            Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { $t->stats->{held}{$hold} });
            $t->sim(POST => 'release', { name => $hold });
            $t->run($x);
            my $s = $api eq 'openai' ? $t->openai_stream($x, $name) : $t->anthropic_stream($x, $name);
            is(scalar @{ $s->{texts} }, $words, "$name: one event a word");
        }
    }
}

# limit_rate is for answers that are buffered: it must not stop a stream for good.
my $r = $t->openai(scripted({ words => 60 }), path => '/slow/v1/chat/completions', stream => 1);
is(@{ $t->openai_stream($r, 'limit_rate')->{texts} }, 60, 'limit_rate: the whole stream');

$t->done;
