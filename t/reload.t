use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# A reload breaks no stream, no wait for the next attempt, no wait for the first
# token and none for a login; a graceful stop waits for streams.

my $t = Test::Kiro->new(
    login => 'credentials_file', location => 'kiro_retry_delay 1500ms 3s;', listen => 'reuseport',
)->start;

my $words = 30;
my @streams = map {
    my $p = scripted({ words => $words, gap_ms => 100 });
    $_ % 2 ? $t->openai_x($p, stream => 1) : $t->anthropic_x($p, stream => 1)
} 1 .. 10;
my @backoff = map { $t->openai_x(scripted({ status => 500 }, { text => 'after the wait' })) } 1 .. 4;
my @gate    = map { $t->openai_x(scripted({ first_ms => 2500, text => 'late' }), stream => 1) } 1 .. 4;
my @all     = (@streams, @backoff, @gate);

$t->turn(0.8, @all);
my @old = $t->workers;
$t->reload;
my @new = map { $t->openai_x('hello') } 1 .. 10;
$t->run(30, @all, @new);

for my $i (0 .. $#streams) {
    my $s = $i % 2 ? $t->anthropic_stream($streams[$i], "stream $i") : $t->openai_stream($streams[$i], "stream $i");
    is(scalar(split ' ', $s->{text}), $words, "stream $i: every word");
}
is($t->openai_object($_, 'in back-off')->{text}, 'after the wait', 'the answer') for @backoff;
is($t->openai_stream($_, 'before the first token')->{text}, 'late', 'the answer') for @gate;
is(scalar(grep { ($_->{status} // 0) == 200 } @new), 10, 'the new workers serve');
my %pid = map { $_->{pid} => 1 } grep { $_->{uri} =~ /chat/ } $t->access(28);
ok((grep { $pid{$_} } @old), 'old workers finished what they had');
ok((grep { my $w = $_; $pid{$w} } $t->workers), 'and new ones took over');
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { !grep { kill 0, $_ } @old }), 'the old workers ended');

# The zone outlives the reload: an expired token is refreshed once.
$t->sim(POST => 'auth', { plan => [ { delay_ms => 1500 } ] });
$t->sim(POST => 'tokens', { expire => JSON::PP::true });
my $refreshes = $t->stats->{refresh};
my @wait = map { $t->openai_x('hello') } 1 .. 6;
$t->turn(0.7, @wait);
$t->reload;
my @more = map { $t->openai_x('hello') } 1 .. 6;
$t->run(30, @wait, @more);
is(scalar(grep { ($_->{status} // 0) == 200 } @wait), 6, 'requests that waited for a token are served by old workers');
is(scalar(grep { ($_->{status} // 0) == 200 } @more), 6, 'those that came later by new ones');
is($t->stats->{refresh}, $refreshes + 1, 'with one refresh');

# Many reloads under load.
my @flood = map { $t->openai_x(scripted({ words => 20, gap_ms => 150 }), stream => 1) } 1 .. 8;
$t->turn(0.3, @flood);
for (1 .. 4) { $t->reload; $t->turn(0.3, @flood) }
$t->run(20, @flood);
is(scalar(grep { !$_->{error} && $_->{body} =~ /\[DONE\]/ } @flood), 8, 'streams live through four reloads');

# Graceful stop.
my $last = $t->openai_x(scripted({ words => 15, gap_ms => 100 }), stream => 1);
$t->turn(0.5, $last);
kill QUIT => $t->{nginx_pid};
$t->run(10, $last);
is(scalar(split ' ', $t->openai_stream($last, 'during a graceful stop')->{text}), 15, 'every word');

$t->done;
