use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;

# A slow reader on a fast stream of 50 MB: the worker keeps nothing it need not.

my $size  = 50_000_000;
my $limit = $ENV{TEST_KIRO_RSS_LIMIT} || 1_000_000;

for my $api (qw(openai anthropic)) {
    for my $piece ($api eq 'openai' ? (16_384, 300) : (16_384)) {
        my $t = Test::Kiro->new(workers => 1)->start;
        my $name = "$api, pieces of $piece";
        my $bytes = $piece < 1000 ? $size / 5 : $size;
        my $ask = sub {
            my ($n, %o) = @_;
            my $p = scripted({ bytes => $n, piece => $piece, gap_ms => 0 });
            return $api eq 'openai' ? $t->openai_x($p, stream => 1, %o) : $t->anthropic_x($p, stream => 1, body => { max_tokens => 1_000_000_000 }, %o);
        };
        # warm up: libraries, buffers and TLS are there
        $t->run(30, $ask->(500_000, discard => 1), $ask->(500_000, discard => 1));
        my ($pid) = $t->workers;
        my $base = $t->rss($pid);
        my ($peak, $next) = (0, 0);
        my $look = sub {
            my $rss = $t->rss($pid);
            $peak = $rss if $rss > $peak;
        };
        my $x = $ask->($bytes, discard => 1, rcvbuf => 32768, rate => 200_000,
            on_body => sub { if ($_[0]{length} >= $next) { $look->(); $next += 500_000 } });
        for (1 .. 12) { $t->turn(0.5, $x); $look->() }
        my ($sent) = map { $_->{bytes_sent} } grep { !defined $_->{ended_at} } ($t->seen)[-1];
        cmp_ok($sent // 0, '<', 20_000_000, "$name: the upstream was held back");
        delete $x->{rate};
        $t->run(120, $x);
        $look->();
        ok($x->{whole} && !$x->{error}, "$name: the stream came to its end") or diag $x->{error};
        cmp_ok($x->{length}, '>', $bytes, "$name: all of it");
        note sprintf '%s: base %.1f MB, peak %+d kB', $name, $base / 1e6, ($peak - $base) / 1000;
        cmp_ok($peak - $base, '<', $limit, "$name: the worker grew by less than 1 MB");

        # ten readers that stop reading at all
        $base = $t->rss($pid);
        my @deaf = map { $ask->(10_000_000, discard => 1, rcvbuf => 32768, pause => { bytes => 1, for => 3600 }) } 1 .. 10;
        $t->turn(3, @deaf);
        my $grown = $t->rss($pid) - $base;
        note sprintf '%s: ten deaf readers, %+d kB', $name, $grown / 1000;
        cmp_ok($grown, '<', 10 * $limit, "$name: ten deaf readers cost less than 1 MB each");
        $_->leave('rst') for @deaf;
        $t->stop;
    }
}

done_testing;
