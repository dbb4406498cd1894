use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# GET usage: the limits of the account, fetched by one worker for all, told with their age when the service fails; and what they
# mean for an account whose quota is used up.

my $p    = Test::Kiro::patience();
my $true = JSON::PP::true;
my @version = ('anthropic-version' => '2023-06-01');

sub with {
    my ($usage, %o) = @_;
    my $t = Test::Kiro->new(listen => 'reuseport', server => 'location = /metrics { kiro_metrics; }', %o);
    $t->start_sim;
    $t->sim(POST => 'usage', $usage) if $usage;
    return $t->start_nginx;
}

sub usage {
    my ($t, $name, @headers) = @_;
    my $r = $t->get('/v1/usage', headers => \@headers);
    $t->ok_response($r, 200, qr{^application/json}, $name);
    return json($r->{body});
}

sub asked { return @{ $_[0]->sim(GET => 'log?op=usage') } }

sub gauge {
    my ($t, $name) = @_;
    return $t->get('/metrics')->{body} =~ /^\Q$name\E(?:\{[^}]*\})? (\S+)$/m ? $1 : undef;
}

# --- what is told -----------------------------------------------------------------------------------------------------

for my $login (qw(credentials_file api_key_file)) {
    my $reset = 86400 * int(time / 86400 + 9);
    my $t = with({
        used => 12.34, reset => $reset, trial => { freeTrialStatus => 'ACTIVE', currentUsage => 3, usageLimit => 500, freeTrialExpiry => $reset },
        bonuses => [ { bonusCode => 'B-SECRET-1', displayName => 'Welcome', currentUsage => 1, usageLimit => 50, status => 'ACTIVE', expiresAt => $reset } ],
        more => [ { resourceType => 'OTHER', currentUsage => 7 }, { nothing => [] } ],
    }, login => $login, key => 'sk-usage-SECRET');
    my $name = $login;
    my $u = usage($t, $name);
    is($u->{object}, 'usage', "$name: object");
    is($u->{account}, 'main', "$name: the account");
    is($u->{subscription}{title}, 'KIRO PRO+', "$name: the subscription");
    is($u->{overage}{status}, 'DISABLED', "$name: overage");
    my ($credit, $other, @more) = @{ $u->{resources} };
    is(scalar @more, 0, "$name: two resources");
    is($credit->{type}, 'CREDIT', "$name: credits");
    is($credit->{used}, 12.34, "$name: the precise number");
    is($credit->{limit}, 2000, "$name: limit");
    is($credit->{remaining}, 1987.66, "$name: what is left");
    is($credit->{overage}{rate}, 0.04, "$name: the price of more");
    is($credit->{resets_at}, $reset, "$name: when it begins anew");
    like($credit->{resets_at_iso}, qr/^\d{4}-\d\d-\d\dT00:00:00Z$/, "$name: for people");
    is($credit->{free_trial}{limit}, 500, "$name: a trial");
    is($credit->{bonuses}[0]{name}, 'Welcome', "$name: a bonus");
    is($other->{limit}, undef, "$name: what is not told is null");
    is($other->{resets_at}, $reset, "$name: the time of all");
    ok(!$u->{stale}, "$name: fresh");
    cmp_ok(abs($u->{fetched_at} - time), '<', 60 * $p, "$name: fetched just now");
    usage($t, "$name: again") for 1 .. 8;
    my @asked = asked($t);
    is(scalar @asked, 1, "$name: fetched once");
    is($asked[0]{headers}{'x-amz-target'}, 'KiroControlPlaneBearerService.GetUsageLimits', "$name: the target");
    is_deeply($asked[0]{body}, { origin => 'AI_EDITOR', resourceType => 'AGENTIC_REQUEST', isEmailRequired => JSON::PP::false }, "$name: what was asked");
    my $text = $t->get('/v1/usage')->{body};
    unlike($text, qr/simulated|\@|SECRET/, "$name: nobody is named");

    my $head = ($t->run($t->exchange('HEAD', '/v1/usage')))[0];
    is("$head->{status} $head->{body}", '200 ', "$name: HEAD");
    my $r = $t->get('/v1/usage');
    like($r->header('cache-control'), qr/no-store/, "$name: not for caches");
    ok(length $r->header('x-request-id'), "$name: a request id");
    $t->error_shape($t->get('/v1/usage', headers => [ Authorization => 'Bearer wrong' ]), 'openai', 401, "$name: a wrong key");
    $t->error_shape($t->get('/v1/usage', headers => [ 'x-api-key' => 'wrong', @version ]), 'anthropic', 401, "$name: in both dialects");
    is(($t->run($t->exchange('POST', '/v1/usage', '{}')))[0]{status}, 405, "$name: POST");

    is(gauge($t, 'kiro_usage_used{account="main",resource="CREDIT"}') // gauge($t, 'kiro_usage_used'), '12.340000', "$name: the gauge");
    is(gauge($t, 'kiro_usage_limit'), '2000.000000', "$name: of the limit");
    is(gauge($t, 'kiro_usage_reset_timestamp_seconds'), $reset, "$name: of the day");
    unlike($t->get('/metrics')->{body}, qr/^kiro_usage_limit\{[^}]*OTHER/m, "$name: not of what is not known");

    # kept over a reload
    $t->reload;
    usage($t, "$name: after a reload");
    is(scalar(asked($t)), 1, "$name: which fetches nothing");
    $t->stop;
}

# --- metrics keep them fresh ------------------------------------------------------------------------------------------

{
    my $t = with({ used => 5 }, account => 'usage_interval 200ms;');
    is(gauge($t, 'kiro_usage_used'), undef, 'metrics: not known yet');
    ok(Test::Kiro::wait_for(10 * $p, sub { (gauge($t, 'kiro_usage_used') // 0) == 5 }), 'metrics: fetched for the next look');
    $t->sim(POST => 'usage', { used => 6 });
    ok(Test::Kiro::wait_for(10 * $p, sub { gauge($t, 'kiro_usage_used') == 6 }), 'metrics: and kept up');
    $t->stop;
}

# --- with or without a profile ----------------------------------------------------------------------------------------

for my $case ([ refused => 'v3', 1, 1 ], [ required => 'v3', 2, 1 ], [ required => 'v2', 2, 1 ]) {
    my ($mode, $wire, $first, $next) = @$case;
    my $t = with({ profile => $mode }, login => 'credentials_file', account => "wire $wire; usage_interval @{[ 400 * $p ]}ms;"); # longer than an answer takes
    usage($t, "profile $mode");
    my @asked = asked($t);
    is(scalar @asked, $first, "profile $mode: asked $first times");
    is($asked[-1]{body}{profileArn}, $mode eq 'required' ? $t->{simulator}{profile_arn} : undef, "profile $mode: what was taken");
    is($asked[-1]{body}{origin}, $wire eq 'v2' ? 'KIRO_CLI' : 'AI_EDITOR', "profile $mode: as the client of that form");
    ok(Test::Kiro::wait_for(10 * $p, sub { usage($t, "profile $mode: later"); asked($t) > $first }), "profile $mode: later again");
    @asked = asked($t);
    is($asked[$first]{status}, 200, "profile $mode: the form is remembered");

    # and changed when the service changes its mind
    my $other = $mode eq 'required' ? 'refused' : 'required';
    $t->sim(POST => 'usage', { profile => $other, used => 77 });
    ok(Test::Kiro::wait_for(10 * $p, sub { usage($t, 'another mind')->{resources}[0]{used} == 77 }), "then $other");
    $t->stop;
}

# --- many clients, two workers: one fetch -----------------------------------------------------------------------------

{
    my $t = with({ plan => [ { hold => 'limits' } ], used => 3 });
    my @x = map { $t->exchange('GET', '/v1/usage') } 1 .. 12;
    push @x, my $gone = $t->exchange('GET', '/v1/usage', undef, abort => { after => 0.2 });
    $t->turn(0.5, @x);
    is($t->stats->{held}{limits}, 1, 'one request for all');
    $t->sim(POST => 'release', { name => 'limits' });
    $t->run(@x);
    is(scalar(grep { ($_->{status} // 0) == 200 && json($_->{body})->{resources}[0]{used} == 3 } @x[ 0 .. 11 ]), 12, 'all who waited have it');
    is(scalar(asked($t)), 1, 'one fetch');
    $t->stop;
}

# --- faults -----------------------------------------------------------------------------------------------------------

my %fault = (
    'an error'         => [ { status => 500 }, 502 ],
    'throttling'       => [ { status => 429 }, 429 ],
    'access denied'    => [ { status => 403, type => 'AccessDeniedException', message => 'User is not authorized to make this call.' }, 403 ],
    'a page of HTML'   => [ { html => 1, status => 200 }, 502 ],
    'garbage'          => [ { raw_body => "\x00\x01{" }, 502 ],
    'no limits'        => [ { raw_body => '{"limits":[]}' }, 502 ],
    'a cut connection' => [ { drop => 1 }, 502 ],
    'a reset'          => [ { rst => 1 }, 502 ],
);
for my $name (sort keys %fault) {
    my ($plan, $status) = @{ $fault{$name} };
    my $t = with({ plan => [ ($plan) x 2 ] }, workers => 1);
    my $r = $t->get('/v1/usage');
    $t->error_shape($r, 'openai', $status, $name);
    cmp_ok($r->header('retry-after') // 0, '>', 0, "$name: when to come again") if $status == 502;
    $t->error_shape($t->get('/v1/usage', headers => [@version]), 'anthropic', $status, $name);
    is(scalar(asked($t)), 1, "$name: and a pause");
    is(scalar($t->grep_log(qr/\[warn\].*"main": its limits could not be fetched from .*: .+; next try in \d+ ms/)), 1, "$name: the log says so once");
    $t->openai_object($t->openai(scripted('ok')), "$name: requests are served");
    $t->stop;
}

# What was known is told, with its age.
{
    my $t = with({ used => 8 }, account => 'usage_interval 300ms;', workers => 1);
    is(usage($t, 'known')->{resources}[0]{used}, 8, 'known');
    $t->sim(POST => 'usage', { used => 9, plan => [ ({ status => 500 }) x 3 ] });
    my $u;
    ok(Test::Kiro::wait_for(10 * $p, sub { ($u = usage($t, 'failing'))->{stale} }), 'the service fails: stale');
    is($u->{resources}[0]{used}, 8, 'what was known');
    ok(Test::Kiro::wait_for(20 * $p, sub { $u = usage($t, 'again'); !$u->{stale} }), 'fresh again');
    is($u->{resources}[0]{used}, 9, 'and new');
    $t->stop;
}

# A deaf host: the answer comes, with what is there, and nginx ends.
{
    my $t = with({ used => 8 }, account => 'usage_interval 100ms;', workers => 1);
    usage($t, 'before');
    $t->sim(POST => 'usage', { plan => [ { hang => 1 } ] });
    sleep 0.2;
    my $began = time;
    ok(usage($t, 'a deaf host')->{stale}, 'a deaf host: what was known');
    cmp_ok(time - $began, '<', 8 * $p, 'soon');
    $t->openai_object($t->openai(scripted('ok')), 'others are served meanwhile');
    $t->stop;
}

# --- no login, no answer ----------------------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], allow => qr/log in again/);
    $t->start_sim;
    $t->sim(POST => 'tokens', { revoke_refresh => $true });
    $t->start_nginx;
    Test::Kiro::wait_for(10 * $p, sub { $t->get('/health')->{status} == 503 });
    my $e = $t->error_shape($t->get('/v1/usage'), 'openai', 502, 'a dead login');
    like($e->{message}, qr/login/, 'in words');
    is(scalar(asked($t)), 0, 'nobody was asked');
    $t->stop;
}

{
    my $t = with(undef, account => 'usage_interval off;');
    my $e = $t->error_shape($t->get('/v1/usage'), 'openai', 501, 'off');
    like($e->{message}, qr/usage_interval/, 'and why');
    gauge($t, 'kiro_usage_used');
    is(scalar(asked($t)), 0, 'nobody was asked');
    $t->stop;
}

# --- another worker dies with the lease -------------------------------------------------------------------------------

{
    my $t = with({ used => 4, plan => [ { hang => 1 } ] }, allow => qr/exited on signal 9/);
    my $x = $t->exchange('GET', '/v1/usage');
    $t->turn(0.3, $x);
    Test::Kiro::wait_for(10 * $p, sub { asked($t) });
    kill KILL => $t->workers;
    $x->leave;
    my $u;
    ok(Test::Kiro::wait_for(8 * $p, sub { my $r = $t->get('/v1/usage'); ($r->{status} // 0) == 200 and $u = json($r->{body}) }), 'another one goes on');
    is($u->{resources}[0]{used}, 4, 'with the limits');
    $t->stop;
}

# --- callers' own keys ------------------------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(workers => 1, server => <<'EOT');
        location /theirs/ { kiro_pass main; kiro_auth passthrough; }
EOT
    $t->start;
    my $good = $t->sim(POST => 'tokens', { api_key => $true })->{api_key};
    $t->secret($good);
    my @key = (Authorization => "Bearer $good");
    $t->sim(POST => 'usage', { used => 21 });
    for my $n (1, 2) {
        my $r = $t->get('/theirs/v1/usage', headers => \@key);
        $t->ok_response($r, 200, qr{^application/json}, "a caller, $n");
        is(json($r->{body})->{resources}[0]{used}, 21, 'has an answer');
    }
    my @asked = asked($t);
    is(scalar @asked, 2, 'one request each, nothing is kept');
    is_deeply([ map { $_->{headers}{authorization} } @asked ], [ ("Bearer $good") x 2 ], 'with the key of the caller');
    my $bad = 'ksk_' . 'SECRET' x 5;
    $t->secret($bad);
    my $e = $t->error_shape($t->get('/theirs/v1/usage', headers => [ Authorization => "Bearer $bad" ]), 'openai', 401, 'a key that is refused');
    like($e->{message}, qr/Kiro refuses this API key/, 'in words');
    $t->error_shape($t->get('/theirs/v1/usage'), 'openai', 401, 'no key');
    $t->sim(POST => 'usage', { plan => [ { status => 500 }, { hang => 1 } ] });
    $t->error_shape($t->get('/theirs/v1/usage', headers => \@key), 'openai', 502, 'the service fails');
    my $x = $t->exchange('GET', '/theirs/v1/usage', undef, headers => \@key, abort => { after => 0.3 });
    $t->turn(1, $x);
    is(json($t->get('/theirs/v1/usage', headers => \@key)->{body})->{resources}[0]{used}, 21, 'after one that left');
    is(usage($t, 'the account')->{resources}[0]{used}, 21, 'the account has its own');
    $t->stop;
}

# --- a quota that is used up ------------------------------------------------------------------------------------------

sub account { return json($_[0]->get('/health')->{body})->{accounts}[0] }

# The day is far: the probe comes as before, and people read the day.
{
    my $reset = 86400 * int(time / 86400 + 9);
    my $t = with({ used => 2000, reset => $reset }, allow => qr/quota is used up/, account => 'quota_retry 1h;');
    $t->error_shape($t->openai(scripted('quota')), 'openai', 429, 'used up');
    ok(Test::Kiro::wait_for(10 * $p, sub { account($t)->{quota_resets_at} }), 'far: the day is known');
    my $h = account($t);
    is($h->{quota_resets_at}, $reset, 'far: kiro_health has it');
    cmp_ok($h->{state_ends_in}, '<=', 3600, 'far: the probe is as near as before');
    my $e = $t->error_shape($t->openai(scripted('ok')), 'openai', 429, 'far: refused');
    like($e->{message}, qr/It comes back on \d{4}-\d\d-\d\d 00:00 UTC\.$/, 'far: with the day');
    $e = $t->error_shape($t->anthropic(scripted('ok')), 'anthropic', 402, 'far: refused, Anthropic');
    like($e->{message}, qr/It comes back on/, 'far: with the day');
    is(scalar($t->grep_log(qr/\[notice\].*"main": its quota comes back on/)), 1, 'far: the log has it');
    is($t->stats->{generate}, 1, 'far: nothing went up');
    $t->stop;
}

# It is near: nobody waits for the rest of quota_retry.
{
    my $t = with({ used => 2000, reset => int(time) + 4 * $p }, allow => qr/quota is used up/, account => 'quota_retry 1h;');
    $t->error_shape($t->openai(scripted('quota')), 'openai', 429, 'near: used up');
    ok(Test::Kiro::wait_for(10 * $p, sub { (account($t)->{state_ends_in} // 9e9) < 60 * $p }), 'near: until then');
    ok(Test::Kiro::wait_for(20 * $p, sub { $t->openai(scripted('ok'))->{status} == 200 }), 'near: served when it is over');
    is(account($t)->{state}, 'ok', 'near: ok');
    $t->stop;
}

# More is bought: the next look at the limits lets a request through.
{
    my $t = with({ used => 2000, reset => 86400 * int(time / 86400 + 9) }, allow => qr/quota is used up/, account => 'quota_retry 1h; usage_interval 300ms;');
    $t->error_shape($t->openai(scripted('quota')), 'openai', 429, 'bought: used up');
    ok(Test::Kiro::wait_for(10 * $p, sub { account($t)->{quota_resets_at} }), 'bought: until a day');
    $t->error_shape($t->openai(scripted('ok')), 'openai', 429, 'bought: refused');
    $t->sim(POST => 'usage', { limit => 4000 });
    ok(Test::Kiro::wait_for(10 * $p, sub { gauge($t, 'kiro_usage_limit'); $t->openai(scripted('ok'))->{status} == 200 }), 'bought: served');
    is(scalar($t->grep_log(qr/something left of its quota again/)), 1, 'bought: the log has it');
    $t->stop;
}

# The service names a time itself, or the limits say something else: that day is not taken.
{
    my $t = with({ used => 3 }, allow => qr/quota is used up/, account => 'quota_retry 1h;');
    $t->error_shape($t->openai(scripted('quota')), 'openai', 429, 'not used up by its numbers');
    ok(Test::Kiro::wait_for(10 * $p, sub { asked($t) }), 'the limits are looked at');
    sleep 0.3;
    is(account($t)->{quota_resets_at}, undef, 'but do not explain it');
    my $e = $t->error_shape($t->openai(scripted('ok')), 'openai', 429, 'refused');
    unlike($e->{message}, qr/comes back/, 'without a day');
    $t->stop;
}

Test::More::done_testing();
