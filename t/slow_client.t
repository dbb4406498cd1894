use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# Clients that do not read: no pings pile up, the idle deadline holds, and after send_timeout client and upstream
# are closed.

my $patience = Test::Kiro::patience();
my $t = Test::Kiro->new(
    listen   => 'sndbuf=16k', workers => 1,
    location => 'kiro_ping_interval 100ms; kiro_early_headers 100ms; kiro_read_timeout 20s;',
    server   => <<'EOT',
        location /short/v1/ { kiro_pass main; kiro_ping_interval 100ms; send_timeout 1s; }
EOT
)->start;
my $logged = 0;

for my $api (qw(openai anthropic)) {
    my $ask = sub {
        my ($plan, %o) = @_;
        return $api eq 'openai' ? $t->openai_x(scripted($plan), stream => 1, %o) : $t->anthropic_x(scripted($plan), stream => 1, %o);
    };
    my $read = $api eq 'openai' ? sub { $t->openai_stream(@_) } : sub { $t->anthropic_stream(@_) };
    my $path = $api eq 'openai' ? '/short/v1/chat/completions' : '/short/v1/messages';

    # More text than the buffers of the connection hold, then silence; the client wakes up in it.
    my $x = $ask->({ text => 'x' x 400_000, piece => 1000, gap_ms => 0, silence_ms => 3500, silence_at => 400 },
        rcvbuf => 8192, pause => { bytes => 1, for => 2.5 });
    $t->run(60, $x);
    my $s = $read->($x, "$api, a client that sleeps");
    is(length $s->{text}, 400_000, 'the whole text');
    my $pings = ($s->{pings} // 0) + $s->{comments};
    cmp_ok($pings, '<=', 20, 'no pings were kept for it') or diag $pings;
    $logged++;

    # It never reads again.
    $t->sim(POST => 'reset');
    $x = $ask->({ bytes => 30_000_000, piece => 1000, gap_ms => 0 }, path => $path, rcvbuf => 8192, pause => { bytes => 1, for => 3600 });
    my $began = time;
    $t->turn(0.5, $x);
    ok(Test::Kiro::wait_for(6 * $patience, sub { $t->turn(0.01, $x); $t->stats->{open_streams} == 0 }), "$api, a deaf client: the upstream is closed");
    cmp_ok(time - $began, '>', 0.9, 'after send_timeout');
    is(join(' ', @{ $t->last_access(++$logged) }{qw(status error)}), '200 client_timeout', 'log');
    $x->leave;

    # It does not read while its headers come early, and leaves then.
    $t->sim(POST => 'reset');
    $x = $ask->({ first_ms => 9000, text => 'never' }, rcvbuf => 4096);
    $t->turn(0.1, $x);
    sleep 1.5;
    $x->leave('rst');
    ok(Test::Kiro::wait_for($patience, sub { $t->stats->{open_streams} == 0 }), "$api, left unread: the upstream is closed");
    is(join(' ', @{ $t->last_access(++$logged) }{qw(status error)}), '200 client_closed', 'log');
}

# How soon the upstream is closed after the client left, seen by the service.
for my $mode (qw(close rst)) {
    my @took;
    for (1 .. 5) {
        $t->sim(POST => 'reset');
        my $x = $t->openai_x(scripted({ words => 300, gap_ms => 20 }), stream => 1, abort => { bytes => 2000, mode => $mode });
        $t->run($x);
        my $left = time;
        Test::Kiro::wait_for(5, sub { $t->stats->{open_streams} == 0 });
        push @took, time - $left;
    }
    my ($median) = (sort { $a <=> $b } @took)[2];
    cmp_ok($median, '<', 0.3 * $patience, "$mode: closed at once") or diag "@took";
    note "$mode: @took";
}

$t->done;
