use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# What one request learns about the account counts for all of them, in all workers: a quota that is used up, a suspension, limits
# of the rate. Nothing that a client did wrong does.

my $p = Test::Kiro::patience();

my %DIALECT = (
    openai    => { path => 'chat/completions', make => 'openai_x' },
    anthropic => { path => 'messages',         make => 'anthropic_x' },
    responses => { path => 'responses',        make => 'responses_x' },
);
my @modes = map { my $d = $_; map { [ $d, $_ ] } 0, 1 } sort keys %DIALECT;

sub begin {
    my (%o) = @_;
    my $t = Test::Kiro->new(
        listen => 'reuseport', allow => qr{kiro_account "main"|exited on signal 9},
        location => 'kiro_retries 2;', %o,
    );
    # the state at the end of each request, in a log of its own
    $t->{http} = 'log_format state $kiro_account_state; ' . ($t->{http} // '');
    $t->{server} = 'access_log %%DIR%%/logs/state.log state; access_log %%DIR%%/logs/access.log kiro; ' . ($t->{server} // '');
    return $t->start;
}

sub states { return grep { $_ ne '-' } split /\n/, Test::Kiro::slurp("$_[0]{dir}/logs/state.log") }

sub health {
    my ($t, $status, $name) = @_;
    my $r = $t->get('/health');
    is($r->{status}, $status, "$name: kiro_health");
    return (json($r->{body})->{accounts} // [])->[0];
}

# The request in each dialect and mode, many at once.
sub everywhere {
    my ($t, $times, %o) = @_;
    my @x;
    for my $mode ((@modes) x $times) {
        my ($dialect, $stream) = @$mode;
        my $make = $DIALECT{$dialect}{make};
        my $path = ($o{at} // '') . "/v1/$DIALECT{$dialect}{path}";
        push @x, [ $dialect, $stream, $t->$make(scripted('ok'), stream => $stream, path => $path) ];
    }
    $t->run(60, map { $_->[2] } @x);
    return @x;
}

# --- quotas and suspensions -------------------------------------------------------------------------------------------

my %KIND = (
    quota => {
        plan => 'quota', state => 'exhausted', directive => 'quota_retry', openai => [ 429, 'insufficient_quota', 'insufficient_quota' ],
        anthropic => [ 402, 'billing_error' ], words => qr/its quota is used up; its requests are refused/,
    },
    suspended => {
        plan => 'suspended', state => 'suspended', directive => 'suspended_retry', openai => [ 403, 'invalid_request_error', 'permission_denied' ],
        anthropic => [ 403, 'permission_error' ], words => qr/the service has suspended it; its requests are refused/,
    },
);

sub refused {
    my ($t, $kind, $x, $after) = @_;
    my ($dialect, $stream, $r) = @$x;
    my $how = $stream ? 'streamed' : 'collected';
    my $want = $kind->{ $dialect eq 'anthropic' ? 'anthropic' : 'openai' };
    my $e = $t->error_shape($r, $dialect eq 'anthropic' ? 'anthropic' : 'openai', $want->[0], "$kind->{state}, $dialect $how");
    is($e->{type}, $want->[1], "$kind->{state}, $dialect $how: type");
    is($e->{code}, $want->[2], "$kind->{state}, $dialect $how: code") if $dialect ne 'anthropic';
    is($r->header('x-should-retry'), 'false', "$kind->{state}, $dialect $how: x-should-retry");
    if ($after) {
        my $got = $r->header('retry-after') // 0;
        ok($got > 0 && $got <= $after, "$kind->{state}, $dialect $how: Retry-After") or diag($got);
    }
    return;
}

for my $name (sort keys %KIND) {
    my $kind = $KIND{$name};
    my $t = begin(account => "$kind->{directive} 300s;");
    is(health($t, 200, 'at first')->{state}, 'ok', 'at first: ok');

    $t->openai(scripted($kind->{plan}));
    is($t->stats->{generate}, 1, "$name: one request went up");
    refused($t, $kind, $_, 300) for everywhere($t, 4);
    is($t->stats->{generate}, 1, "$name: and none after it, from any worker");
    my %pids = map { $_->{pid} => 1 } $t->access(25);
    is(keys %pids, 2, "$name: both workers took part");
    is((grep { $_ ne $kind->{state} } states($t))[0], undef, "$name: \$kiro_account_state");
    my ($line) = grep { $_->{attempts} eq '0' } $t->access(25);
    is($line->{error}, $name, "$name: \$kiro_error");
    is(scalar(() = $t->grep_log($kind->{words})), 1, "$name: logged once");
    is(scalar(() = grep { /\[error\]/ && /request failed/ } $t->grep_log(qr/./)), 1, "$name: the others leave no error in the log");

    my $h = health($t, 503, $name);
    is($h->{state}, $kind->{state}, "$name: in kiro_health");
    is($h->{last_error_kind}, $name, "$name: why");
    ok($h->{state_ends_in} > 0 && $h->{state_ends_in} <= 300, "$name: and for how long");
    ok(!$h->{usable}, "$name: not usable");

    # What needs no call of the service goes on.
    $t->ok_response($t->get('/v1/models'), 200, qr/json/, "$name: models");
    is($t->post('/v1/messages/count_tokens', $t->anthropic_body('hello'))->{status}, 200, "$name: counting");
    is($t->post('/v1/messages', '{')->{status}, 400, "$name: a bad request is told first");

    $t->reload;
    refused($t, $kind, $_, 300) for everywhere($t, 1);
    kill KILL => ($t->workers)[0];
    Test::Kiro::wait_for(10 * $p, sub { $t->workers == 2 });
    refused($t, $kind, $_, 300) for everywhere($t, 1);
    is($t->stats->{generate}, 1, "$name: a reload and a dead worker change nothing");

    # Another key in the source is another account.
    my $file = $t->{simulator}{api_key_file};
    my $key = Test::Kiro::slurp($file);
    Test::Kiro::spew($file, 'ksk_SECRETanother' . 'x' x 20, 0600);
    $t->secret('ksk_SECRETanother' . 'x' x 20);
    $t->reload;
    $t->error_shape($t->openai(scripted('ok')), 'openai', 502, "$name: another key is tried");
    is($t->stats->{generate}, 2, "$name: ... and called with");
    Test::Kiro::spew($file, $key, 0600);
    $t->reload;
    $t->openai_object($t->openai(scripted('ok')), "$name: the state left with the key");
    $t->stop;
}

# When the time is over one request is let through; if it is refused the time begins anew, if it is served all are.
for my $name (sort keys %KIND) {
    my $kind = $KIND{$name};
    my $wait = 2 * $p;
    my $t = begin(account => "$kind->{directive} ${wait}s;");
    $t->openai(scripted($kind->{plan}));
    refused($t, $kind, $_, $wait) for everywhere($t, 1);
    sleep $wait + 0.2;
    ok(health($t, 200, "$name, the time is over")->{probe}, "$name: the next one is a probe");

    # The probe does not end at once: the others need not wait for it.
    my $probe = $t->openai_x(scripted({ status => $name eq 'quota' ? 402 : 423, delay_ms => 1500 * $p }));
    $t->turn(0.5 * $p, $probe);
    is($t->stats->{generate}, 2, "$name: the probe is on its way");
    refused($t, $kind, $_) for everywhere($t, 2);
    $t->run(30, $probe);
    is($t->stats->{generate}, 2, "$name: the only one");
    is(health($t, 503, "$name, in vain")->{state}, $kind->{state}, "$name: the state stays");
    is(scalar(() = $t->grep_log($kind->{words})), 1, "$name: still logged once");

    # A probe that is a bad request, or whose client leaves, says nothing; the next one is a probe then.
    sleep 2 * $wait + 0.3;
    $t->error_shape($t->openai(scripted('overflow')), 'openai', 400, "$name: a probe of another fate");
    my $gone = $t->openai_x(scripted({ delay_ms => 20_000 }));
    $t->turn(0.5 * $p, $gone);
    $gone->leave;
    ok(Test::Kiro::wait_for(10 * $p, sub { $t->openai(scripted('ok'))->{status} == 200 }), "$name: served again");
    is($_->[2]{status}, 200, "$name: all are, $_->[0]") for everywhere($t, 1);
    is(health($t, 200, $name)->{state}, 'ok', "$name: ok again");
    is(scalar(() = $t->grep_log(qr/the service answers again/)), 1, "$name: logged, too");
    $t->stop;
}

# A time that the service names counts.
{
    my $t = begin(account => 'quota_retry 300s;');
    my $wait = 2 * $p;
    $t->openai(scripted({ status => 402, headers => { 'Retry-After' => $wait } }));
    refused($t, $KIND{quota}, $_, $wait) for everywhere($t, 1);
    sleep $wait + 0.2;
    $t->openai_object($t->openai(scripted('ok')), 'the quota is back when the service said');
    $t->stop;
}

# --- limits of the rate -----------------------------------------------------------------------------------------------

# 429 with a delay: the others do not call before it is over. Those that may wait do.
{
    my $t = begin(server => 'location /now/v1/ { kiro_pass main; kiro_retries 0; } location /cap/v1/ { kiro_pass main; kiro_retry_delay 50ms 500ms; }');
    my $ms = 3000 * $p;
    $t->error_shape($t->openai(scripted({ status => 429, retry_after_ms => $ms }), path => '/now/v1/chat/completions'), 'openai', 429, 'throttled');
    my $began = time;
    for my $where (qw(now cap)) {
        for my $x (everywhere($t, 1, at => "/$where")) {
            my ($dialect, $stream, $r) = @$x;
            my $e = $t->error_shape($r, $dialect eq 'anthropic' ? 'anthropic' : 'openai', 429, "$where, $dialect: refused");
            is($e->{code}, 'rate_limit_exceeded', "$where: code") if $dialect ne 'anthropic';
            my $left = $r->header('retry-after-ms') // 0;
            ok($left > 0 && $left <= $ms, "$where: what is left of the delay") or diag($left);
            like($e->{message}, qr/try again in \d+s/, "$where: in words");
        }
    }
    my $h = health($t, 200, 'a short cool-down');
    is($h->{state}, 'cooling_down', 'kiro_health: cooling_down') if time - $began < 2 * $p;
    is($t->stats->{generate}, 1, 'none of them called the service');
    $t->stop;
}
{
    my $t = begin(location => 'kiro_retries 2; kiro_retry_delay 50ms 20s;', server => 'location /now/v1/ { kiro_pass main; kiro_retries 0; }');
    my $ms = 1500 * $p;
    $t->openai(scripted({ status => 429, retry_after_ms => $ms }), path => '/now/v1/chat/completions');
    my $began = time;
    my @x = everywhere($t, 2);
    is($_->[2]{status}, 200, "waits: $_->[0] " . ($_->[1] ? 'streamed' : 'collected')) for @x;
    cmp_ok(time - $began, '>=', $ms / 1000 - 0.2, 'for as long as the service said');
    is($t->stats->{generate}, 13, 'no call too early');
    is((grep { $_->{why} eq 'rate_limited' } $t->access(13)) >= 12, 1, '$kiro_retry_reason');
    is(scalar(() = $t->grep_log(qr/the service limits its requests; its requests wait/)), 1, 'logged once');
    is(health($t, 200, 'afterwards')->{state}, 'ok', 'ok again');
    $t->stop;
}

# 429 without a delay is one request's matter; when nothing but refusals come, the account rests for a moment.
{
    my $t = begin(location => 'kiro_retries 0;');
    $t->openai(scripted('429')) for 1 .. 2;
    $t->openai_object($t->openai(scripted('ok')), 'a refusal or two stop nobody');
    $t->openai(scripted('429')) for 1 .. 2;
    is(health($t, 200, 'two more')->{state}, 'ok', 'a success between them: they are no row');
    $t->openai(scripted('429'));
    is(health($t, 200, 'three in a row')->{state}, 'cooling_down', 'three in a row: the account cools down');
    my $before = $t->stats->{generate};
    my $r = $t->anthropic(scripted('ok'));
    if ($t->stats->{generate} == $before) {
        $t->error_shape($r, 'anthropic', 429, 'in the cool-down');
        ok(($r->header('retry-after') // 0) > 0, 'which says how long');
    }
    ok(Test::Kiro::wait_for(10 * $p, sub { $t->openai(scripted('ok'))->{status} == 200 }), 'it ends');
    $t->stop;
}

# Temporary limits: no end named, cool_down says how long; one request first then.
{
    my $wait = 2 * $p;
    my $t = begin(account => "cool_down ${wait}s;");
    $t->openai(scripted({ status => 429, reason => undef, message => 'We saw suspicious activity and set temporary limits.' }));
    for my $x (everywhere($t, 1)) {
        $t->error_shape($x->[2], $x->[0] eq 'anthropic' ? 'anthropic' : 'openai', 429, "temporary limits, $x->[0]");
    }
    is($t->stats->{generate}, 1, 'temporary limits: nobody calls');
    is(health($t, 503, 'temporary limits')->{state}, 'cooling_down', 'temporary limits: kiro_health');
    sleep $wait + 0.2;
    $t->openai_object($t->openai(scripted('ok')), 'temporary limits: over');
    $t->stop;
}

# --- what says nothing about the account ------------------------------------------------------------------------------

{
    my $t = begin();
    for my $plan ('overflow', '400', '413', 'denied', 'capacity', '500', { status => 400, reason => 'INVALID_MODEL_ID' },
        { status => 402, reason => 'CONVERSATION_LIMIT_EXCEEDED' },
        { status => 400, reason => undef, message => 'Tool MONTHLY_REQUEST_COUNT: suspicious activity, temporary limits' })
    {
        $t->openai(scripted($plan), headers => [ 'X-Test' => 1 ]);
        is(health($t, 200, 'after a fault')->{state}, 'ok', 'the state stays: ' . (ref $plan ? json($plan) : $plan));
        $t->openai_object($t->openai(scripted('ok')), 'the next one is served');
    }

    # An exception in a stream counts like a status, before the first words and behind them.
    $t->openai(scripted({ exception => { type => 'throttlingError', reason => 'MONTHLY_REQUEST_COUNT', after_events => 3 } }), stream => 1);
    is(health($t, 503, 'in a stream')->{state}, 'exhausted', 'an exception in a stream');
    $t->stop;
}

# --- what is no longer true -------------------------------------------------------------------------------------------

# A refusal of the login before says nothing about this one.
{
    my $t = begin(account => 'quota_retry 300s;');
    my $key = $t->sim(POST => 'tokens', { api_key => JSON::PP::true })->{api_key};
    $t->secret($key);
    my @late = map { $t->openai_x(scripted({ delay_ms => 3000 * $p, status => 402 })) } 1 .. 6;
    $t->turn(0.5 * $p, @late);
    is($t->stats->{generate}, 6, 'another login: requests of the old one are on their way');
    Test::Kiro::spew($t->{simulator}{api_key_file}, "$key\n", 0600);
    $t->reload;
    $t->openai_object($t->openai(scripted('ok')), 'another login: serves');
    $t->run(60, @late);
    $t->error_shape($_, 'openai', 429, 'another login: the old one is refused') for @late;
    is(health($t, 200, 'another login')->{state}, 'ok', 'another login: is not held for it');
    $t->openai_object($t->openai(scripted('ok')), 'another login: still serves');
    $t->stop;
}

# Refusals of the same moment are one: no time is doubled for them.
{
    my $t = begin(account => 'quota_retry 300s;');
    my @all = map { $t->openai_x(scripted({ delay_ms => 500 * $p, status => 402 })) } 1 .. 24;
    $t->run(60, @all);
    my $left = health($t, 503, 'refused at once')->{state_ends_in};
    ok($left > 0 && $left <= 300, 'refused at once: the time is not doubled') or diag($left);
    is(scalar(() = $t->grep_log(qr/its quota is used up still/)), 0, 'refused at once: nobody was a probe');

    # Nobody has to wait: off, and a reload.
    $t->{account} = 'quota_retry off;';
    $t->write_config;
    $t->reload;
    is(health($t, 200, 'switched off')->{state}, 'ok', 'switched off: ok');
    $t->openai_object($t->openai(scripted('ok')), 'switched off: requests ask for themselves');
    $t->{account} = 'quota_retry 300s;';
    $t->write_config;
    $t->reload;
    is(health($t, 200, 'switched on again')->{state}, 'ok', 'switched on again: the answer ended the state');
    $t->stop;
}
{
    my $t = begin(location => 'kiro_retries 0;');
    $t->run(60, map { $t->openai_x(scripted({ delay_ms => 500 * $p, status => 429, reason => undef })) } 1 .. 16);
    my $left = health($t, 200, 'a burst')->{state_ends_in} // 0;
    cmp_ok($left, '<=', 2, 'a burst of 429 is one row');
    sleep 2.2;
    $t->error_shape($t->openai(scripted({ status => 429, reason => undef })), 'openai', 429, 'after it one more');
    $left = health($t, 200, 'one more')->{state_ends_in} // 0;
    cmp_ok($left, '<=', 4, '... doubles the time once');

    # A delay that nobody can mean is cut.
    sleep 4.2;
    $t->openai(scripted({ status => 429, headers => { 'Retry-After' => 10 * 86_400 } }));
    $left = health($t, 200, 'ten days')->{state_ends_in} // 0;
    ok($left > 3000 && $left <= 3600, 'a delay of ten days is an hour') or diag($left);
    $t->stop;
}

# A probe that dies with its worker, and one whose answer breaks.
{
    my $wait = 2 * $p;
    my $t = begin(account => "quota_retry ${wait}s;");
    $t->openai(scripted('quota'));
    sleep $wait + 0.2;
    my $probe = $t->openai_x(scripted({ delay_ms => 100_000 }), stream => 1);
    $t->turn(0.5 * $p, $probe);
    is($t->stats->{generate}, 2, 'a probe is on its way');
    my @before = $t->workers;
    kill KILL => @before;
    Test::Kiro::wait_for(10 * $p, sub { my %new = map { $_ => 1 } $t->workers; delete @new{@before}; keys %new == 2 });
    my $x = $t->openai_x(scripted({ exception => { type => 'throttlingError', reason => 'MONTHLY_REQUEST_COUNT', after_events => 3 } }), stream => 1);
    $t->run(30, $x);
    is($x->{status}, 200, 'its worker died: the next one is the probe') or diag($x->{body});
    is(health($t, 503, 'a probe whose answer breaks')->{state}, 'exhausted', 'a probe whose answer breaks: the quota is used up again');
    sleep $wait + 0.2;
    $t->openai_object($t->openai(scripted('ok')), 'the one after it is served');
    is(health($t, 200, 'at last')->{state}, 'ok', 'ok at last');
    $t->stop;
}

# off: every request asks.
{
    my $t = begin(account => 'quota_retry off; suspended_retry off; cool_down off;', location => 'kiro_retries 0;');
    $t->openai(scripted($_)) for qw(quota suspended throttle);
    $t->openai_object($t->openai(scripted('ok')), 'off');
    is($t->stats->{generate}, 4, 'off: all were asked');
    $t->stop;
}

done_testing;
