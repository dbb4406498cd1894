use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# kill -9 of the worker that holds the lease: another one takes over when the
# lease has run out.

my $t = Test::Kiro->new(
    login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 90s;',
    allow => qr/exited on signal 9/,
);
$t->start_sim;
$t->sim(POST => 'auth', { plan => [ { hang => JSON::PP::true } ] });
$t->start_nginx;

my $x = $t->openai_x('hello');
$t->turn(0.3, $x);
Test::Kiro::wait_for(5, sub { $t->stats->{refresh} });
is($t->stats->{refresh}, 1, 'the refresh is under way');
my $holder = $t->worker_at($t->{simulator}{tls_port});
ok($holder, 'a worker holds the lease') or $t->done, exit;
my @others = grep { $_ != $holder } $t->workers;
kill KILL => $holder;
my $killed = time;
ok(Test::Kiro::wait_for(10, sub { my @w = $t->workers; @w == 2 && !grep { $_ == $holder } @w }), 'the master replaced it');
is(scalar(grep { my $o = $_; grep { $_ == $o } $t->workers } @others), 1, 'the other worker lives on');

my $r = $t->openai('hello', timeout => 90);
$t->openai_object($r, 'the next request');
my $took = time - $killed;
note sprintf 'served %.1f s after the kill', $took;
cmp_ok($took, '<', 60, 'after the deadline of the lease');
is($t->stats->{refresh}, 2, 'with one more refresh');

# And the zone is sound: many more requests.
my @x = map { $t->openai_x('hello') } 1 .. 30;
$t->run(30, @x);
is(scalar(grep { ($_->{status} // 0) == 200 } @x), 30, 'all are served');
is($t->stats->{refresh}, 2, 'without another refresh');

$t->done;
