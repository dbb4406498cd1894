use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# kiro_concurrency: places for an account's calls, over workers and locations, as the simulator counts them.

my $patience = Test::Kiro::patience();
my $yes = JSON::PP::true;

sub texts { return join ' ', map { ($_->{status} // 'none') . ($_->{error} ? " $_->{error}" : '') } @_ }

# What kiro_health says: (running, waiting).
sub calls {
    my ($t) = @_;
    my ($main) = grep { $_->{name} eq 'main' } @{ json($t->get('/health')->{body})->{accounts} };
    return "$main->{running} $main->{waiting}";
}

sub calls_become {
    my ($t, $want, $name, @x) = @_;
    my $is = '';
    Test::Kiro::wait_for(5 * $patience, sub { $t->turn(0.01, @x) if @x; ($is = calls($t)) eq $want });
    return is($is, $want, $name);
}

# The first $n records of the access log that fit.
sub logged {
    my ($t, $n, $fits) = @_;
    my @log;
    Test::Kiro::wait_for(5 * $patience, sub { (@log = grep { $fits->() } $t->access(1)) >= $n });
    return @log;
}

# --- never more than that, whatever the dialect, the location and the worker --------------------------------------------

{
    my $t = Test::Kiro->new(account => 'kiro_concurrency 3;', listen => 'reuseport', server => 'location /other/v1/ { kiro_pass main; }')->start;
    my @x = map {
        my $p = scripted({ words => 5, gap_ms => 30 });
        my $where = $_ % 2 ? '' : '/other';
        $_ % 3 == 0 ? $t->openai_x($p, stream => $_ % 4 > 1, path => "$where/v1/chat/completions")
            : $_ % 3 == 1 ? $t->anthropic_x($p, stream => $_ % 4 > 1, path => "$where/v1/messages")
            : $t->responses_x($p, stream => $_ % 4 > 1, path => "$where/v1/responses")
    } 1 .. 36;
    $t->run(60, @x);
    is(texts(@x), join(' ', (200) x 36), 'all are served');
    my $stats = $t->stats;
    is($stats->{open_streams_max}, 3, 'three at once');
    is($stats->{generate}, 36, 'a call each');
    my @log = logged($t, 36, sub { $_->{uri} ne '/health' });
    my @waited = grep { length $_->{queue} } @log;
    cmp_ok(scalar(@waited), '>=', 20, 'most have waited');
    like($_->{queue}, qr/^\d+\.\d{3}$/, 'seconds with milliseconds') for @waited[0, 1];
    cmp_ok($_->{rt} + 0.02, '>=', $_->{queue}, 'which are a part of the whole') for @waited;
    my %worker = map { $_->{pid} => 1 } @waited;
    is(scalar keys %worker, 2, 'in both workers');
    is(calls($t), '0 0', 'all places are free at the end');

    # A retry gives its place to others while it waits, and all end well.
    $t->sim(POST => 'reset');
    @x = map { $t->openai_x(scripted({ status => 500 }, { words => 3, gap_ms => 20 })) } 1 .. 8;
    $t->run(60, @x);
    is(texts(@x), join(' ', (200) x 8), 'retries are served');
    cmp_ok($t->stats->{open_streams_max}, '<=', 3, 'within the limit');
    is(calls($t), '0 0', 'and leave nothing');

    # No call of the service: no place.
    my @hold = map { $t->openai_x(scripted({ first_ms => 2000 * $patience, text => 'held' })) } 1 .. 3;
    $t->turn(0.3, @hold);
    calls_become($t, '3 0', 'all places are taken', @hold);
    my $began = time;
    is($t->post('/v1/messages/count_tokens', $t->anthropic_body('count me'))->{status}, 200, 'count_tokens');
    is($t->get('/v1/models')->{status}, 200, 'models');
    is($t->post('/v1/messages', '{')->{status}, 400, 'a bad request');
    cmp_ok(time - $began, '<', 1.5 * $patience, 'need none');
    $t->run(20, @hold);
    is(texts(@hold), '200 200 200', 'the others go on');
    $t->stop;
}

# --- full, late, left ---------------------------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(
        account => "kiro_concurrency 1 queue=2 timeout=@{[ 2 * $patience ]}s;", location => 'kiro_early_headers off;',
        server => 'location /early/v1/ { kiro_pass main; kiro_early_headers 200ms; kiro_ping_interval 200ms; }',
        http => 'kiro_account none { %%SOURCE%% state_path %%STATE%%; endpoint %%SCHEME%%://kiro_runtime; ssl_trusted_certificate %%CA%%; ssl_name localhost; kiro_concurrency 1 queue=0; }',
    );
    $t->{server} .= 'location /none/v1/ { kiro_pass none; }';
    $t->start;

    my $long = $t->openai_x(scripted({ first_ms => 9000 * $patience, text => 'long' }), stream => 1);
    $t->turn(0.2, $long);
    calls_become($t, '1 0', 'one runs', $long);
    my @wait = ($t->openai_x('waits too long one'), $t->anthropic_x('waits too long two', stream => 1));
    $t->turn(0.2, @wait);
    calls_become($t, '1 2', 'two wait', $long, @wait);

    my %ask = (openai => sub { $t->openai(@_) }, anthropic => sub { $t->anthropic(@_) }, responses => sub { $t->responses(@_) });
    for my $api (sort keys %ask) {
        for my $stream (0, 1) {
            my $began = time;
            my $r = $ask{$api}->("no room for $api $stream", stream => $stream);
            my $e = $t->error_shape($r, $api eq 'anthropic' ? $api : 'openai', 429, "$api: full");
            cmp_ok(time - $began, '<', 1 * $patience, 'told at once');
            like($r->header('retry-after') // '', qr/^[1-9]\d*$/, 'Retry-After');
            like($r->header('retry-after-ms') // '', qr/^[1-9]\d{3,}$/, 'retry-after-ms');
            like($e->{message}, qr/try again in \d+s\./, 'also in words');
            is($r->header('x-should-retry'), undef, 'SDKs shall try again');
        }
    }
    is(scalar(logged($t, 6, sub { "$_->{error} $_->{queue} $_->{attempts}" eq 'busy  0' })), 6, 'the log');

    # Their time is up.
    $t->run(20, @wait);
    $t->error_shape($wait[0], 'openai', 429, 'waited too long');
    like($wait[0]->header('retry-after') // '', qr/^[1-9]\d*$/, 'Retry-After');
    $t->error_shape($wait[1], 'anthropic', 429, 'a stream that waited too long');
    my @log = logged($t, 2, sub { $_->{error} eq 'busy' && length $_->{queue} });
    is(scalar(@log), 2, 'in the log as busy');
    cmp_ok($_->{queue}, '>=', 1.9 * $patience, 'with their time') for @log;
    calls_become($t, '1 0', 'the queue is empty', $long);

    # Behind early headers the failure is in the stream.
    my $early = $t->anthropic('waits behind headers', stream => 1, path => '/early/v1/messages', timeout => 20);
    my $s = $t->anthropic_stream($early, 'early headers');
    is(($s->{error} // {})->{type}, 'rate_limit_error', 'an error event');
    cmp_ok($s->{comments}, '>=', 2, 'comments meanwhile');

    # Clients that leave the queue make room in it.
    for my $mode (qw(close rst)) {
        my @gone = map { $t->openai_x("leaves the queue $mode $_", abort => { after => 0.3, mode => $mode }) } 1, 2;
        $t->run(@gone);
        calls_become($t, '1 0', "$mode: the queue is empty at once", $long);
    }
    my ($left) = logged($t, 4, sub { $_->{error} eq 'client_closed' });
    cmp_ok($left->{queue}, '>', 0.1, 'and the log has how long they waited');
    $t->run(20 * $patience, $long);
    is($t->openai_stream($long, 'the long one')->{text}, 'long', 'is not disturbed');
    is(calls($t), '0 0', 'all is free');

    # A client that leaves its call gives the place to the next one.
    $long = $t->openai_x(scripted({ words => 200, gap_ms => 50 }), stream => 1);
    $t->turn(0.3, $long);
    my $next = $t->openai_x('the next one');
    $t->turn(0.3, $next);
    calls_become($t, '1 1', 'one runs, one waits', $long, $next);
    $long->leave;
    my $began = time;
    $t->run(10, $next);
    is($next->{status}, 200, 'the next one is served');
    cmp_ok(time - $began, '<', 1 * $patience, 'soon');

    # No queue at all.
    my $one = $t->openai_x(scripted({ first_ms => 1000 * $patience, text => 'one' }), path => '/none/v1/chat/completions');
    $t->turn(0.3, $one);
    $t->error_shape($t->openai('nobody may wait', path => '/none/v1/chat/completions'), 'openai', 429, 'queue=0');
    $t->run(20, $one);
    is($one->{status}, 200, 'the one that was there');
    is($t->openai('now there is room', path => '/none/v1/chat/completions')->{status}, 200, 'and the next');
    $t->stop;
}

# --- fair between clients and workers -----------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(account => 'kiro_concurrency 1 queue=200;', listen => 'reuseport', key => 'sk-first-SECRET',
        location => 'kiro_client_key sk-second-SECRET second; kiro_client_key sk-third-SECRET third;')->start;
    $t->secret(qw(sk-second-SECRET sk-third-SECRET));
    my $ask = sub {
        my ($who, $n) = @_;
        return $t->openai_x(scripted({ words => 1, first_ms => 40 }) . " $who $n", headers => [ Authorization => "Bearer sk-$who-SECRET" ]);
    };
    my @burst = map { $ask->('first', $_) } 1 .. 24;
    $t->turn(0.02, $burst[0]) until $burst[0]{status} || length($burst[0]{out} // '') == 0;
    $t->turn(0.2, @burst);
    my @few = map { $ask->($_ % 2 ? 'second' : 'third', $_) } 1 .. 6;
    $t->turn(0.01, @few);
    $t->run(60, @burst, @few);
    is(texts(@burst, @few), join(' ', (200) x 30), 'all are served');
    is($t->stats->{open_streams_max}, 1, 'one at a time');
    my @order = map { $_->{client} } logged($t, 30, sub { $_->{client} });
    my ($last) = grep { $order[$_] ne 'tester' } reverse 0 .. $#order;
    my ($first) = grep { $order[$_] ne 'tester' } 0 .. $#order;
    note join ' ', @order;
    my $between = grep { $_ eq 'tester' } @order[ $first .. $last ];
    cmp_ok($between, '<=', 4, "a client's burst lets the others through: one in turn");
    cmp_ok(scalar(@order) - $last, '>', 10, 'and the rest of it comes later');

    # First come, first served within a client, whichever worker it is.
    $t->sim(POST => 'reset');
    my @line;
    my $hold = $t->openai_x(scripted({ first_ms => 1500 * $patience, text => 'hold' }));
    $t->turn(0.2, $hold);
    for my $n (1 .. 12) {
        push @line, $t->openai_x("in line $n of $$", path => "/v1/chat/completions?line=$n");
        calls_become($t, "1 $n", "$n wait", $hold, @line) if $t->turn(0.03, $line[-1]);
    }
    $t->run(30, $hold, @line);
    my @served = map { $_->{uri} =~ /line=(\d+)/ } logged($t, 12, sub { $_->{uri} =~ /line=/ });
    is("@served", join(' ', 1 .. 12), 'in the order they came');
    $t->stop;
}

# --- workers that die, are replaced, or leave ---------------------------------------------------------------------------

# Connections without a request yet, by worker.
sub spread {
    my ($t, $n) = @_;
    my (%by, @x);
    for (1 .. 10) {
        push @x, map { $t->openai_x("a request $_ of many") } 1 .. $n;
        $_->connect for @x[ -$n .. -1 ];
        sleep 0.2;
        push @{ $by{ $t->worker_at($_->{socket}->sockport) // 0 } }, $_ for @x[ -$n .. -1 ];
        last if 2 == grep { @$_ >= 5 } values %by;
    }
    delete $by{0};
    return %by;
}

sub ask { my ($t, $x, $plan) = @_; $x->{out} = $t->openai_x(scripted($plan))->{out}; return $x }

for my $holder (qw(doomed other)) {
    my $t = Test::Kiro->new(account => 'kiro_concurrency 2 queue=20 timeout=60s;', listen => 'reuseport', allow => qr/exited on signal 9/)->start;
    my %by = spread($t, 12);
    my ($doomed, $other) = sort keys %by;
    is(scalar(keys %by), 2, "the $holder worker: connections to both") or $t->done, exit;
    my @holds = splice @{ $by{ $holder eq 'doomed' ? $doomed : $other } }, 0, 2;
    ask($t, $_, { first_ms => ($holder eq 'doomed' ? 30_000 : 1500 * $patience), text => 'held' }) for @holds;
    $t->turn(0.3, @holds);
    calls_become($t, '2 0', 'it holds all places', @holds);
    my @die = splice @{ $by{$doomed} }, 0, 3;
    my @live = splice @{ $by{$other} }, 0, 3;
    ask($t, $_, { words => 2 }) for @die, @live;
    $t->turn(0.2, @die);
    $t->turn(0.2, @live);
    calls_become($t, '2 6', 'six wait', @holds, @die, @live);
    kill KILL => $doomed;
    my $killed = time;
    $t->run(30, @live);
    is(texts(@live), '200 200 200', 'those of the other worker are served');
    cmp_ok(time - $killed, '<', ($holder eq 'doomed' ? 5 : 8) * $patience, 'soon');
    $t->turn(0.1, @die);
    is(scalar(grep { $_->{error} } @die), 3, 'the rest went with theirs');
    $t->run(20, @holds) if $holder eq 'other';
    is(scalar(grep { ($_->{status} // 0) == 200 } @holds), $holder eq 'other' ? 2 : 0, 'so did what it held');
    $_->leave for grep { !$_->{done} } map { @$_ } values %by;
    calls_become($t, '0 0', 'all is free');
    my @x = map { $t->openai_x(scripted({ words => 3, gap_ms => 20 })) } 1 .. 20;
    $t->run(30, @x);
    is(texts(@x), join(' ', (200) x 20), 'and many more are served');
    $t->stop;
}

{
    my $t = Test::Kiro->new(account => 'kiro_concurrency 2 queue=20 timeout=60s;', allow => qr/exited on signal 9/)->start;
    my @old = $t->workers;
    my @holds = map { $t->openai_x(scripted({ first_ms => 3000 * $patience, text => 'over a reload' })) } 1, 2;
    my @wait  = map { $t->openai_x("waits over a reload $_") } 1 .. 3;
    $t->turn(0.3, @holds);
    $t->turn(0.2, @wait);
    calls_become($t, '2 3', 'before a reload', @holds, @wait);
    $t->reload;
    my @new = map { $t->openai_x("comes after the reload $_") } 1 .. 3;
    $t->turn(0.3, @new);
    calls_become($t, '2 6', 'after it', @holds, @wait, @new);
    $t->run(30, @holds, @wait, @new);
    is(texts(@holds, @wait, @new), join(' ', (200) x 8), 'old and new workers serve all of them');
    is($t->stats->{open_streams_max}, 2, 'within the limit');
    ok(Test::Kiro::wait_for(10 * $patience, sub { !grep { kill 0, $_ } @old }), 'the old workers end');

    # Another limit, while calls run.
    @old = $t->workers;
    @holds = map { $t->openai_x(scripted('hang')) } 1, 2;
    $t->turn(0.3, @holds);
    @wait = ($t->openai_x('waits for a larger limit'));
    $t->turn(0.2, @wait);
    calls_become($t, '2 1', 'two of two run', @holds, @wait);
    $t->{account} = 'kiro_concurrency 3 queue=200 timeout=60s;';
    $t->reload;
    is($t->openai('after the limit grew')->{status}, 200, 'three of three');
    $t->run(10, @wait);
    is($wait[0]{status}, 200, 'also for whom waited in an old worker');

    # Old workers that are killed are replaced by none.
    $t->{account} = 'kiro_concurrency 2 queue=200 timeout=60s;';
    $t->reload;
    @new = map { $t->openai_x("waits for the dead $_") } 1 .. 3;
    $t->turn(0.3, @new);
    calls_become($t, '2 3', 'the old workers hold all places', @holds, @new);
    kill KILL => $_ for grep { kill 0, $_ } @old;
    my $killed = time;
    $t->run(30, @new);
    is(texts(@new), '200 200 200', 'which they lose with their lives');
    cmp_ok(time - $killed, '<', 5 * $patience, 'soon');
    is(calls($t), '0 0', 'all is free');

    # A graceful stop waits for those that wait.
    my @last = map { $t->openai_x(scripted({ words => 4, gap_ms => 50 })) } 1 .. 6;
    $t->turn(0.2, @last);
    kill QUIT => $t->{nginx_pid};
    $t->run(30, @last);
    is(texts(@last), join(' ', (200) x 6), 'a graceful stop');
    $t->stop;
}

# --- with the account's states -----------------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(account => 'kiro_concurrency 1 queue=20;', location => 'kiro_retries 3; kiro_early_headers off;',
        allow => qr{kiro_account "main": its quota}, listen => 'reuseport')->start;

    # A pause of the account is spent without a place, and who waited is served afterwards.
    my @x = map { $t->openai_x(scripted({ status => 429, reason => 'USER_REQUEST_RATE_EXCEEDED', retry_after_ms => 900, delay_ms => 300 }, 'ok')) } 1;
    $t->turn(0.1, @x);
    push @x, map { $t->openai_x(scripted({ words => 2 })) } 1 .. 5;
    my $held;
    Test::Kiro::wait_for(5 * $patience, sub { $t->turn(0.02, @x); $held = json($t->get('/health')->{body})->{accounts}[0]; $held->{state} eq 'cooling_down' });
    calls_become($t, '0 0', 'nobody has or waits for a place while the account cools down', @x);
    $t->run(30, @x);
    is(texts(@x), join(' ', (200) x 6), 'all are served');
    is($t->stats->{open_streams_max}, 1, 'one after the other');

    # A quota that is found used up: who waited is told, and nobody calls any more.
    $t->sim(POST => 'reset');
    @x = $t->openai_x(scripted({ status => 402, delay_ms => 700 }));
    $t->turn(0.2, @x);
    push @x, map { $t->openai_x(scripted('ok')) } 1 .. 5;
    $t->run(30, @x);
    is(texts(@x), join(' ', (429) x 6), 'all are refused');
    is(json($x[-1]{body})->{error}{code}, 'insufficient_quota', 'for the true reason');
    is($t->stats->{generate}, 1, 'by one call');
    is(calls($t), '0 0', 'all places are free');
    $t->stop;
}

# --- the directive ------------------------------------------------------------------------------------------------------

for my $bad (
    [ 'kiro_concurrency 0;'             => qr/from 1 to 4096/ ],
    [ 'kiro_concurrency many;'          => qr/from 1 to 4096/ ],
    [ 'kiro_concurrency 2 queue=-1;'    => qr/behind "queue="/ ],
    [ 'kiro_concurrency 2 timeout=no;'  => qr/behind "timeout="/ ],
    [ 'kiro_concurrency 2 wait=2;'      => qr/takes a number/ ],
    [ 'kiro_concurrency;'               => qr/invalid number of arguments/ ],
    [ 'kiro_concurrency 2; kiro_concurrency 3;' => qr/is duplicate/ ],
    )
{
    my $t = Test::Kiro->new(account => $bad->[0])->start_sim;
    my ($status, $words) = $t->test_config;
    isnt($status, 0, "$bad->[0] is refused");
    like($words, $bad->[1], 'in these words');
    $t->{allow} = qr/"kiro_concurrency"/;
    $t->stop;
}

done_testing;
