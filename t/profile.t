use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(sleep);
use Test::Kiro;

# The profile of a login whose record has none: whatever becomes of the lookup,
# requests wait for it or say what is wrong, and what was found is kept as long as
# it is true.

my $us    = 'arn:aws:codewhisperer:us-east-1:111122223333:profile/USPROFILE001';
my $eu    = 'arn:aws:codewhisperer:eu-central-1:444455556666:profile/EUPROFILE001';
my $other = 'arn:aws:codewhisperer:us-east-1:777788889999:profile/USPROFILE002';
my $true  = JSON::PP::true;

my $conf = <<'EOT';
    upstream kiro_us-east-1    { server 127.0.0.1:%%TLS_PORT%% max_fails=0; keepalive 4; }
    upstream kiro_eu-central-1 { server 127.0.0.1:%%EU_TLS_PORT%% max_fails=0; keepalive 4; }

    kiro_account main {
        credentials_file %%LOGIN%%;
        state_path %%STATE%%;
        endpoint "https://kiro_{region}";
        management_endpoint %%MANAGEMENT%%;
        auth_endpoint https://localhost:%%TLS_PORT%%;
        ssl_name "runtime.{region}.kiro.dev";
        ssl_trusted_certificate %%CA%%;
        %%MORE%%
    }

    server {
        listen 127.0.0.1:%%PORT%%;
        location /v1/ { kiro_pass main; }
        location = /health { kiro_health; }
        location = /metrics { kiro_metrics; }
    }
EOT

# A gateway with an Identity Center login that has these profiles.
sub gateway {
    my ($profiles, %o) = @_;
    my $t = Test::Kiro->new(conf => $conf, allow => $o{allow}, workers => $o{workers} // 2);
    $t->start_sim;
    my $got = login($t, $profiles);
    $t->{vars} = {
        LOGIN => $got->{file}, MORE => $o{more} // '', MANAGEMENT => $o{management} // 'https://127.0.0.1:%%TLS_PORT%%',
    };
    $t->sim(POST => 'profiles', { plan => $o{plan} }) if $o{plan};
    $t->start_nginx unless $o{wait};
    return $t;
}

sub login {
    my ($t, $profiles) = @_;
    my $got = $t->sim(POST => 'tokens', { issue => 'oidc', profiles => [ map { { arn => $_, profileName => 'Team' } } @$profiles ] });
    $t->secret(@{ $got->{credentials} }{qw(accessToken refreshToken)});
    return $got;
}

# Other profiles for the login in use, in the simulator's own books.
sub asked { return scalar @{ $_[0]->sim(GET => 'log?op=profiles') } }
sub kept  { return Test::Kiro::slurp("$_[0]{dir}/state/main.profile") }

sub served {
    my ($t, $arn, $name) = @_;
    $t->openai_object($t->openai(scripted('ok'), timeout => 60), $name);
    my ($seen) = reverse $t->seen;
    is($seen && $seen->{body}{profileArn}, $arn, "$name: with the profile");
}

sub unready {
    my ($t, $reason, $why) = @_;
    my $r = $t->get('/health');
    is($r->{status}, 503, "$reason: not ready");
    my $h = json($r->{body});
    is($h->{accounts}[0]{reason}, $reason, "$reason: for programs");
    return like($h->{reasons}[0], $why, "$reason: for people");
}

# --- the host fails once, then tells -----------------------------------------------------------------------------

for my $fault (
    [ '500'     => { status => 500 } ],
    [ '429'     => { status => 429, retry_after_ms => 100 } ],
    [ 'HTML'    => { html => $true, status => 200 } ],
    [ 'cut'     => { drop => $true } ],
    [ 'reset'   => { rst => $true } ],
    [ 'garbage' => { raw_body => '{"profiles":[{"arn":', status => 200 } ],
    )
{
    my ($name, $plan) = @$fault;
    my $t = gateway([$us], plan => [ { %$plan, region => 'us-east-1' } ]);
    served($t, $us, "$name once");
    cmp_ok(asked($t), '>=', 3, "$name: asked again");
    is(scalar(grep { !defined $_->{body}{profileArn} } $t->seen), 0, "$name: nothing went without a profile");
    like($t->error_log, qr/profile could not be looked up: .*; next try in \d+ ms/, "$name: the log has it");
    $t->stop;
}

# One region is down for good: after some tries the only profile of the other one is taken.
{
    my $t = gateway([$us], plan => [ { region => 'eu-central-1', status => 500, keep => $true } ]);
    served($t, $us, 'the other region down');
    like($t->error_log, qr/not all regions could be asked/, 'which is said');
    $t->stop;
}

# Slow, and a client that does not wait for it.
{
    my $t = gateway([$eu], plan => [ { hold => 'slow' } ]);
    my $x = $t->openai_x(scripted('ok'));
    $t->turn(0.3, $x);
    Test::Kiro::wait_for(10, sub { $t->stats->{held}{slow} });
    is($t->stats->{generate}, 0, 'slow: nothing goes up meanwhile');
    $x->leave;
    $t->sim(POST => 'release');
    served($t, $eu, 'slow');
    $t->stop;
}

# --- nobody answers at all ---------------------------------------------------------------------------------------

{
    my $port = Test::Kiro::free_port();
    my $t = gateway([$us], management => "https://127.0.0.1:$port", more => 'token_timeout 2s;');
    my $r = $t->openai(scripted('ok'), timeout => 30);
    my $e = $t->error_shape($r, 'openai', 504, 'management host down');
    like($e->{message}, qr/profile/, 'it says what is waited for');
    is($t->stats->{generate}, 0, 'and no request was spent');
    like($t->error_log, qr/profile could not be looked up/, 'the log has it');
    unready($t, 'profile_unknown', qr/cannot be looked up/);

    # the operator helps
    $t->{vars}{MORE} = "profile_arn $us;";
    $t->reload;
    served($t, $us, 'profile_arn set instead');
    is($t->get('/health')->{status}, 200, 'and ready');
    $t->stop;
}

# --- what it tells -----------------------------------------------------------------------------------------------

{
    my $t = gateway([ $us, $eu, $other ], allow => qr/(?!)/);
    for my $api (qw(openai anthropic)) {
        my $r = $t->$api(scripted('ok'));
        my $e = $t->error_shape($r, $api, 502, "several profiles, $api");
        like($e->{message}, qr/several Kiro profiles.*profile_arn/, 'what to do');
        unlike($r->{body}, qr/arn:aws/, 'no ARN for the client');
    }
    my @list = $t->grep_log(qr/profile \d: /);
    is(scalar @list, 3, 'the log lists them');
    like("@list", qr/eu-central-1/, 'with their regions');
    like("@list", qr/Team/, 'and names');
    unlike($t->error_log, qr/arn:aws/, 'but no ARN');
    is(asked($t), 2, 'nobody is asked for each request');
    is(kept($t), '', 'nothing is kept');
    unready($t, 'no_profile', qr/set profile_arn/);

    $t->{vars}{MORE} = "profile_arn $eu;";
    $t->reload;
    served($t, $eu, 'one of several set');
    is(($t->seen)[-1]{region}, 'eu-central-1', 'and its region');
    $t->stop;
}

{
    my $t = gateway([]);
    my $r = $t->openai(scripted('ok'));
    my $e = $t->error_shape($r, 'openai', 502, 'no profile');
    like($e->{message}, qr/no Kiro profile/, 'it says so');
    is(scalar($t->grep_log(qr/\[error\].*the login has no profile/)), 1, 'the log, once');
    is(asked($t), 2, 'both regions were asked, once');
    $t->stop;
}

# What is no profile ARN does not count.
{
    my $t = gateway([], plan => [ { keep => $true, status => 200, raw_body => json({ profiles => [ { arn => 'arn:aws:iam::1:role/x' } ] }) } ]);
    $t->error_shape($t->openai(scripted('ok')), 'openai', 502, 'a bad ARN');
    is($t->stats->{generate}, 0, 'is not sent');
    $t->stop;
}

# 403 in both regions, of an organisation that allows no listing, is the same.
{
    my $t = gateway([$us], plan => [ map { { status => 403, message => 'User is not authorized to make this call.', region => $_, keep => $true } }
        qw(us-east-1 eu-central-1) ]);
    my $r = $t->openai(scripted('ok'));
    $t->error_shape($r, 'openai', 502, 'listing forbidden');
    is($t->stats->{refresh}, 0, 'and no reason for a refresh');
    $t->stop;
}

# The management hosts do not take the token: it is refreshed, and then they do.
{
    my $t = gateway([$us], wait => 1);
    $t->sim(POST => 'tokens', { revoke_access => $true });
    $t->start_nginx;
    served($t, $us, 'a revoked token');
    is($t->stats->{refresh_ok}, 1, 'refreshed once');
    $t->stop;
}

# The profile's region is not the one that the operator has set.
{
    my $t = gateway([$eu], more => 'region us-east-1;', wait => 1);
    $t->sim(POST => 'profiles', { plan => [ { region => 'us-east-1', keep => $true,
        raw_body => json({ profiles => [ { arn => $eu, profileName => 'Team' } ] }), status => 200 } ] });
    $t->start_nginx;
    my $r = $t->openai(scripted('ok'));
    isnt($r->{status}, 200, 'wrong region: the service refuses it');
    like($t->error_log, qr/\[warn\].*the profile's region is eu-central-1.*us-east-1/, 'the log has the reason');
    $t->stop;
}

# --- kept, and for how long --------------------------------------------------------------------------------------

{
    my $t = gateway([$us]);
    served($t, $us, 'found');
    ok(Test::Kiro::wait_for(10, sub { length kept($t) }), 'kept in a file');
    is(sprintf('%04o', (stat "$t->{dir}/state/main.profile")[2] & 07777), '0600', 'for its owner alone');
    my $record = json(kept($t));
    ok(length $record->{fingerprint}, 'with a fingerprint');
    is(index(kept($t), $_) >= 0 ? 1 : 0, 0, 'which is no token') for grep { !/^arn/ } keys %{ $t->{secrets} };

    $t->reload;
    served($t, $us, 'after a reload');
    is(asked($t), 2, 'nobody was asked again');
    $t->restart;
    served($t, $us, 'after a restart');
    is(asked($t), 2, 'nobody was asked again');

    # A damaged file, of any kind, is looked over.
    for my $text ('', '{', "\0" x 4000, '[]', json({ %$record, profileArn => 'arn:aws:iam::1:role/x' }),
        json({ %$record, format => 'other' }), 'x' x 3_000_000)
    {
        my $before = asked($t);
        $t->stop_nginx;
        Test::Kiro::spew("$t->{dir}/state/main.profile", $text, 0600);
        $t->start_nginx;
        my $name = 'damaged: ' . substr($text, 0, 20) =~ s/[^ -~]/?/gr;
        served($t, $us, $name);
        is(asked($t), $before + 2, "$name: asked again");
        ok(Test::Kiro::wait_for(10, sub { kept($t) =~ /USPROFILE001/ }), "$name: mended");
    }

    # Another login in the source: its profile is another.
    my $new = login($t, [$eu]);
    $t->{vars}{LOGIN} = $new->{file};
    my $before = asked($t);
    $t->reload;
    served($t, $eu, 'another login');
    is(asked($t), $before + 2, 'whose profile was asked for');
    ok(Test::Kiro::wait_for(10, sub { kept($t) =~ /EUPROFILE001/ }), 'and kept');

    # And back, with a file that belongs to the other one.
    my $old = login($t, [$us]);
    $t->stop_nginx;
    $t->{vars}{LOGIN} = $old->{file};
    unlink "$t->{dir}/state/main.json";
    $t->start_nginx;
    served($t, $us, 'a file of another login is not used');
    $t->stop;
}

# A directory that cannot be written to costs the file, not the requests.
SKIP: {
    skip 'root writes everywhere', 3 if $> == 0 && !getpwnam('nobody');
    my $t = Test::Kiro->new(conf => $conf, user => 'nobody', allow => qr/will not survive|memory only/);
    $t->start_sim;
    my $got = login($t, [$us]);
    $t->{vars} = { LOGIN => $got->{file}, MORE => '', MANAGEMENT => 'https://127.0.0.1:%%TLS_PORT%%' };
    chmod 0500, "$t->{dir}/state";
    $t->start_nginx;
    served($t, $us, 'read-only directory');
    ok(Test::Kiro::wait_for(10, sub { $t->grep_log(qr/\[warn\].*looked up again after a restart/) }), 'the log has it')
        if !-e "$t->{dir}/state/main.profile";
    chmod 0700, "$t->{dir}/state";
    $t->stop;
}

# --- the worker dies in the middle -------------------------------------------------------------------------------

{
    my $t = gateway([$us], plan => [ { hang => $true } ], allow => qr/exited on signal 9/);
    ok(Test::Kiro::wait_for(10, sub { $t->stats->{profiles} }), 'a lookup is under way');
    my $holder;
    Test::Kiro::wait_for(10, sub { $holder = $t->worker_at($t->{simulator}{tls_port}) });
    ok($holder, 'a worker asks') or $t->done, exit;
    kill KILL => $holder;
    ok(Test::Kiro::wait_for(10, sub { $t->grep_log(qr/exited on signal 9/) }), 'it is killed');
    served($t, $us, 'another worker goes on');
    is(asked($t), 3, 'by asking both regions anew');
    $t->stop;
}

# --- the service wants another one -------------------------------------------------------------------------------

# What was kept before a restart is not true any more.
for my $case (
    [ 'a foreign one'         => $other ],
    [ 'one of another region' => $eu ],
    )
{
    my ($name, $stale) = @$case;
    my $t = gateway([$us]);
    served($t, $us, "$name: found");
    Test::Kiro::wait_for(10, sub { length kept($t) });
    my $record = json(kept($t));
    $t->stop_nginx;
    Test::Kiro::spew("$t->{dir}/state/main.profile", json({ %$record, profileArn => $stale }), 0600);
    $t->start_nginx;
    served($t, $us, "$name is kept");
    is(asked($t), 4, "$name: looked up once more");
    ok(Test::Kiro::wait_for(10, sub { kept($t) =~ /USPROFILE001/ }), "$name: and kept");
    served($t, $us, "$name: the next request");
    is(asked($t), 4, "$name: without a lookup");
    $t->stop;
}

# The same words about something else: one lookup, one retry, and no storm.
for my $words ('profileArn is required for this request.', 'Invalid profileArn.') {
    my $t = gateway([$us]);
    served($t, $us, "$words found");
    $t->restart;
    my $plan = { status => 400, reason => undef, message => $words };
    $t->openai_object($t->openai(scripted($plan, { words => 3 })), "$words once");
    is(asked($t), 4, "$words: looked up again");
    my ($why) = map { $_->{why} } $t->last_access(2);
    like($t->get('/metrics')->{body}, qr/^kiro_retries_total\{account="main",reason="\Q$why\E"\} 1$/m, "$words: a retry that is counted");
    my $r = $t->openai(scripted($plan));
    my $e = $t->error_shape($r, 'openai', 400, "$words for ever");
    like($e->{message}, qr/profile_arn/, "$words: what to do");
    is(asked($t), 4, "$words: not looked up for each");
    $t->openai_object($t->openai(scripted('ok')), "$words: others are served");

    # The management host is down: what is known stays in use.
    $t->restart;
    $t->sim(POST => 'profiles', { plan => [ map { { status => 500, region => $_, keep => $true } } qw(us-east-1 eu-central-1) ] });
    my @x = ($t->openai_x(scripted($plan, { words => 3 })), map { $t->openai_x(scripted('ok')) } 1 .. 5);
    $t->run(30, @x);
    is(join(' ', map { $_->{status} // 0 } @x), '200 200 200 200 200 200', "$words: and no host to ask");
    $t->stop;
}

# What is set is not looked up.
{
    my $t = gateway([$us], more => "profile_arn $other;");
    my $r = $t->openai(scripted('ok'));
    $t->error_shape($r, 'openai', 403, 'a foreign profile_arn');
    is(asked($t), 0, 'is not replaced');
    is($t->stats->{generate}, 1, 'nor tried again');
    $t->stop;
}

done_testing;
