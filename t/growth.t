use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Round after round of everything that can happen: memory, connections and
# descriptors of the worker stay where they are.

my $t = Test::Kiro->new(
    workers  => 1, login => 'credentials_file',
    location => 'kiro_retry_delay 5ms 10ms; kiro_first_token_timeout 500ms; kiro_read_timeout 500ms;',
)->start;

my @kinds = (
    [ [ 'ok' ] ], [ [ { words => 50 } ] ], [ [ { bytes => 60_000 } ] ], [ [ '500', 'ok' ] ], [ [ 'drop', 'rst', 'ok' ] ],
    [ ['mid'] ], [ ['midrst'] ], [ ['crc'] ], [ ['denied'] ], [ ['overflow'] ], [ [ 'empty', 'ok' ] ], [ ['tool'] ], [ [ '403', 'ok' ] ],
    [ [ { words => 200, gap_ms => 20 } ], abort => { after => 0.2, mode => 'rst' } ],
    [ [ { words => 200, gap_ms => 20 } ], abort => { bytes => 500 } ],
    [ [ { first_ms => 2000 } ], abort => { after => 0.1 } ],
);
my @tools = ({ name => 'get_weather', input_schema => { type => 'object' } });

sub round {
    my @x;
    for my $kind (@kinds) {
        my ($plan, %o) = @$kind;
        for my $stream (0, 1) {
            my $p = sub { ref $plan->[0] ? scripted($plan->[0]) : scripted(@$plan) };
            push @x, $t->openai_x($p->(), stream => $stream, %o);
            push @x, $t->anthropic_x($p->(), stream => $stream, %o, body => { tools => \@tools });
        }
    }
    push @x, $t->exchange('POST', '/v1/chat/completions', '{"messages":'), $t->exchange('GET', '/v1/nothing'),
        $t->exchange('POST', '/v1/messages', 'x' x 200_000);
    while (my @some = splice @x, 0, 16) { $t->run(30, @some) }
    return;
}

my ($pid) = $t->workers;
my $fds = sub { my @fd = glob "/proc/$pid/fd/*"; return scalar @fd };

round() for 1 .. 3;
my ($rss, $fd) = ($t->rss($pid), $fds->());
my @rss;
for (1 .. 6) { round(); push @rss, $t->rss($pid) - $rss }
note join ' ', map { sprintf '%+d kB', $_ / 1000 } @rss;
is(($t->workers)[0], $pid, 'the worker is the same');
cmp_ok($rss[-1] - $rss[2], '<', ($ENV{TEST_KIRO_RSS_LIMIT} // 0) / 4 || 400_000, 'its memory does not grow');
ok(Test::Kiro::wait_for(3, sub { $fds->() <= $fd + 4 }), 'nor do its descriptors') or diag $fds->() . " after $fd";
ok(Test::Kiro::wait_for(3, sub { $t->stats->{open_streams} == 0 }), 'no stream is left open');

$t->done;
