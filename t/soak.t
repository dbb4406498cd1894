use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro::Load;

# Paced streams of all dialects and reloads among them, small: ./dev soak is the large one. None breaks, and
# processes and memory are afterwards what they were before.

Test::Kiro::Load::binary() or plan skip_all => 'kiro_load is not built: ./dev test builds it';

my $l = Test::Kiro::Load->new(workers => 2)->start;
my %path = (openai => 'chat/completions', anthropic => 'messages', responses => 'responses');

sub start_load {
    my (%o) = @_;
    return map { $l->client(path => "/v1/$path{$_}", dialect => $_, label => $_, interval => 10_000, limit => 60 * Test::Kiro::patience(), %o) }
        sort keys %path;
}

# New workers that served nothing yet, before and after: what is left is the master's, or was never given back.
my $fresh = sub { $l->reload; Test::Kiro::wait_for(5 * Test::Kiro::patience(), sub { !$l->old_workers }); sleep 0.3; return $l->memory };
$fresh->();
my $before = $fresh->();

my @load = start_load(streams => 20, tokens => 50, 'most-tokens' => 300, seconds => 5);
my $peak = 0;
for (1 .. 3) {
    sleep 1.2;
    $l->hup;
    sleep 0.1;
    my $old = $l->old_workers;
    $peak = $old if $old > $peak;
}
for my $load (@load) {
    my $r = $l->result($load);
    is($r->{broken}, 0, "no stream is broken") or diag $r->{text};
    cmp_ok($r->{calls} // 0, '>=', 20, 'all were served');
    note $r->{text};
}
cmp_ok($peak, '>', 0, 'there were old workers with streams');
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { !$l->old_workers }), 'the old workers ended');
is(scalar(my @w = $l->workers), 2, 'two workers are left');
is($l->state->{streams}, 0, 'no stream is open upstream');
my $grown = $fresh->() - $before;
note sprintf 'all processes: %.1f MB, %+.0f kB', $before / 1e6, $grown / 1000;
cmp_ok($grown, '<', $ENV{TEST_KIRO_RSS_LIMIT} || 2_000_000, 'memory is back');

$l->done;
