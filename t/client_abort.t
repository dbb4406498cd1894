use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# A client that leaves closes the upstream at once, whatever is going on.

my $t = Test::Kiro->new(location => 'kiro_retry_delay 1s 2s;')->start;
my $soon = 1 * Test::Kiro::patience();
my $logged = 0;

sub told_as_closed {
    my ($name) = @_;
    is($t->last_access(++$logged)->{error}, 'client_closed', "$name: \$kiro_error");
    return;
}

for my $mode (qw(close rst)) {
    for my $api (qw(openai anthropic)) {
        my $ask = sub {
            my ($plan, %o) = @_;
            my $p = ref $plan eq 'ARRAY' ? scripted(@$plan) : scripted($plan);
            return $api eq 'openai' ? $t->openai_x($p, %o) : $t->anthropic_x($p, %o);
        };
        my $name = "$api, $mode";

        # in the middle of a stream
        $t->sim(POST => 'reset');
        my $x = $ask->({ words => 200, gap_ms => 50 }, stream => 1, abort => { bytes => 1000, mode => $mode });
        $t->run($x);
        is($x->{error}, 'left', "$name: left in the stream");
        my $began = time;
        ok(Test::Kiro::wait_for($soon, sub { $t->stats->{open_streams} == 0 }), "$name: the upstream is closed")
            or diag 'after ' . (time - $began);
        is($t->stats->{streams_closed_by_client}, 1, "$name: by us");
        told_as_closed($name);

        # before the first token
        $t->sim(POST => 'reset');
        $x = $ask->({ first_ms => 8000, text => 'late' }, stream => 1, abort => { after => 0.4, mode => $mode });
        $t->run($x);
        ok(Test::Kiro::wait_for($soon, sub { $t->stats->{open_streams} == 0 }), "$name: left before the first token");
        told_as_closed($name);

        # while a collected answer is made
        $t->sim(POST => 'reset');
        $x = $ask->({ words => 200, gap_ms => 50 }, abort => { after => 0.5, mode => $mode });
        $t->run($x);
        ok(Test::Kiro::wait_for($soon, sub { $t->stats->{open_streams} == 0 }), "$name: left a collected answer");
        told_as_closed($name);

        # between two attempts: there is no second one
        $t->sim(POST => 'reset');
        $x = $ask->([ '500', 'ok' ], abort => { after => 0.3, mode => $mode });
        $t->run($x);
        sleep 1.8;
        is($t->stats->{generate}, 1, "$name: left between attempts, no other attempt");
        told_as_closed($name);

        # while the upstream is deaf
        $t->sim(POST => 'reset');
        $x = $ask->('hang', abort => { after => 0.4, mode => $mode });
        $t->run($x);
        ok(Test::Kiro::wait_for($soon, sub { $t->stats->{open_streams} == 0 }), "$name: left a deaf upstream");
        told_as_closed($name);
    }
}

# In the middle of the request body.
my $body = json($t->openai_body('x' x 100_000));
my $x = Test::Kiro::HTTP->new(port => $t->{port}, method => 'POST', path => '/v1/chat/completions',
    raw => "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
        . length($body) . "\r\n\r\n" . substr($body, 0, 50_000), abort => { after => 0.3, mode => 'rst' });
$t->run($x);
told_as_closed('in the request body');
$t->openai_object($t->openai('hello'), 'the next client is served');

# A crowd that leaves at any time.
srand 7;
my @crowd = map {
    my $p = scripted({ words => 30, gap_ms => 30, first_ms => int rand 300 });
    my %o = (abort => { after => 0.05 + rand 1.5, mode => (qw(close rst))[ rand 2 ] }, stream => $_ % 3 != 0);
    $_ % 2 ? $t->openai_x($p, %o) : $t->anthropic_x($p, %o)
} 1 .. 150;
$t->run(30, @crowd);
ok(Test::Kiro::wait_for(3 * $soon, sub { $t->stats->{open_streams} == 0 }), 'no stream is left of the crowd');
$t->openai_object($t->openai('hello'), 'and the next client is served');

$t->done;
