use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro::Load;

# A hundred clients that stop reading while the upstream sends as fast as it can: each costs what docs/directives.md
# says under kiro_buffer_size, and gets everything when it reads on.

Test::Kiro::Load::binary() or plan skip_all => 'kiro_load is not built: ./dev test builds it';

my $clients = 100;
my $bound   = 120_000 + 6 * 16_384;
my $factor  = ($ENV{TEST_KIRO_RSS_LIMIT} || 0) > 1_000_000 ? 10 : 1.5;
my $token   = 130; # bytes of text, roughly

for my $case (
    [ openai => 'chat/completions', 1 ], [ anthropic => 'messages', 1 ], [ responses => 'responses', 1 ],
    [ responses => 'responses', 5000 ],
    )
{
    my ($api, $path, $after) = @$case;
    my $name = "$api, after $after tokens";
    my $l = Test::Kiro::Load->new(workers => 1, listen => 'sndbuf=64k')->start;
    my %o = (path => "/v1/$path", dialect => $api, pad => $token - 22, label => $api, limit => 120 * Test::Kiro::patience());
    $l->result($l->client(%o, streams => 1, tokens => 100));
    my $base  = $l->memory;
    # the text that a Responses stream keeps: what was read, and what lies in socket buffers
    my $allow = $bound + ($api eq 'responses' ? 2 * ($after * $token + 150_000) : 0);
    my $flag  = "$l->{dir}/stalled";
    my $c = $l->client(%o, streams => $clients, tokens => $after + 20_000, rcvbuf => 32_768, stall => 4 * Test::Kiro::patience(),
        'stall-after' => $after, stalled => $flag);
    ok(Test::Kiro::wait_for(60 * Test::Kiro::patience(), sub { -e $flag || !$l->running($c) }), "$name: all stopped reading");
    my $peak = 0;
    for (1 .. 10) {
        sleep 0.3;
        my $each = ($l->memory - $base) / $clients;
        $peak = $each if $each > $peak;
    }
    is($l->state->{streams}, $clients, "$name: the upstream is held back");
    note sprintf '%s: %.0f kB each, documented are %.0f kB', $name, $peak / 1000, $allow / 1000;
    cmp_ok($peak, '<', $factor * $allow, "$name: memory of a client");
    cmp_ok($peak, '>', 20_000, "$name: there was something to measure");
    my $r = $l->result($c);
    is($r->{broken}, 0, "$name: then they get everything") or diag $r->{text};
    is($r->{calls}, $clients, "$name: all of them");
    $l->stop;
}

done_testing;
