use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time sleep);
use Test::Kiro;

# Two instances of nginx on one login. With one state_path, or with write_back on and
# a source that both read, one of them refreshes and the other one finds the result.

my $true = JSON::PP::true;

# Another nginx beside $t, with the same simulator.
sub beside {
    my ($t, %o) = @_;
    my $b = Test::Kiro->new(login => $t->{login}, account => $t->{account} // q{}, allow => $t->{allow}, sim => 0, %o);
    $b->{simulator} = $t->{simulator};
    return $b;
}

sub burst {
    my ($name, @t) = @_;
    my @x = map { my $t = $_; map { $_ % 2 ? $t->openai_x("gannet $_") : $t->anthropic_x("gannet $_", stream => 1) } 1 .. 12 } @t;
    Test::Kiro::HTTP->run(90 * Test::Kiro::patience(), @x);
    my %status;
    $status{ $_->{error} // $_->{status} }++ for @x;
    is_deeply(\%status, { 200 => scalar @x }, "$name: all are served") or diag explain \%status;
    return;
}

sub secrets_of {
    my ($dir, @t) = @_;
    my @found = Test::Kiro::slurp("$dir/state/main.json") =~ /"(?:accessToken|refreshToken)":"([^"]+)"/g;
    $_->secret(@found) for @t;
    return;
}

# --- one state_path ----------------------------------------------------------------------------------------------

for my $login (qw(credentials_file oidc)) {
    my $t = Test::Kiro->new(login => $login, sim => ['--expired'], account => '');
    $t->start_sim;
    my $b = beside($t, vars => { STATE => "$t->{dir}/state" });
    $_->start_nginx for $t, $b;
    burst("$login, expired at the start", $t, $b);
    is($t->stats->{refresh_ok}, 1, "$login: one refresh");
    for my $round (2 .. 6) {
        $t->sim(POST => 'tokens', { revoke_access => $true });
        $t->sim(POST => 'auth', { plan => [ { delay_ms => 150 } ] }) if $round % 2;
        burst("$login, rotation $round", $t, $b);
        is($t->stats->{refresh_ok}, $round, "$login, rotation $round: one refresh");
    }
    is($t->stats->{invalid_grant}, 0, "$login: no token was used twice");

    # The one that worked goes away; the other one goes on from where it was.
    secrets_of($t->{dir}, $t, $b);
    $t->stop_nginx;
    $t->sim(POST => 'tokens', { revoke_access => $true });
    burst("$login, one is left", $b);
    $t->start_nginx;
    $t->sim(POST => 'tokens', { revoke_access => $true });
    burst("$login, and both again", $t, $b);
    is($t->stats->{invalid_grant}, 0, "$login: no token was lost");
    secrets_of($t->{dir}, $t, $b);
    $_->stop for $b, $t;
}

# By timer: a token of twelve seconds is refreshed after six.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => [ '--expired', '--token-ttl', 12 ]);
    $t->start_sim;
    my $b = beside($t, vars => { STATE => "$t->{dir}/state" });
    $_->start_nginx for $t, $b;
    my $until = time + 15;
    while (time < $until) { burst('by timer', $t, $b); sleep 1 }
    my $s = $t->stats;
    is($s->{invalid_grant}, 0, 'by timer: no token was used twice');
    cmp_ok($s->{refresh_ok}, '>=', 2, 'by timer: refreshed in time');
    cmp_ok($s->{refresh_ok}, '<=', 6, 'by timer: by one of them');
    is(scalar(grep { $_->{status} != 200 } $t->seen), 0, 'by timer: no request met an old token');
    secrets_of($t->{dir}, $t, $b);
    $_->stop for $b, $t;
}

# The one that refreshes is killed: with its lock gone, the other one goes on.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 60s;',
        allow => qr/exited on signal 9/);
    $t->start_sim;
    $t->sim(POST => 'auth', { plan => [ { hang => $true } ] });
    my $b = beside($t, vars => { STATE => "$t->{dir}/state" });
    $t->start_nginx;
    ok(Test::Kiro::wait_for(10, sub { $t->stats->{refresh} }), 'killed: the refresh is under way');
    $b->start_nginx;
    my $holder = $t->worker_at($t->{simulator}{tls_port});
    ok($holder, 'killed: in the first one') and kill KILL => $holder;
    burst('killed', $b, $t);
    is($t->stats->{refresh_ok}, 1, 'killed: one refresh was good');
    is($t->stats->{invalid_grant}, 0, 'killed: no token was lost');
    secrets_of($t->{dir}, $t, $b);
    $_->stop for $b, $t;
}

# --- a state_path each, one source -------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'write_back on;');
    $t->start_sim;
    my $b = beside($t);

    # Both have sent the same token before either has an answer.
    $t->sim(POST => 'auth', { plan => [ { hold => 'race' }, { hold => 'race' } ] });
    $_->start_nginx for $t, $b;
    ok(Test::Kiro::wait_for(15, sub { ($t->stats->{held}{race} // 0) == 2 }), 'race: both ask');
    $t->sim(POST => 'release');
    burst('race', $t, $b);
    my $s = $t->stats;
    is($s->{refresh_ok}, 1, 'race: one of them won');
    is($s->{invalid_grant}, 1, 'race: and one lost');
    is(scalar(grep { /log in again/ } $t->error_log, $b->error_log), 0, 'race: nobody is called for that');

    for my $round (2 .. 6) {
        $t->sim(POST => 'tokens', { revoke_access => $true });
        burst("write_back, rotation $round", $t, $b);
        is($t->stats->{refresh_ok}, $round, "write_back, rotation $round: one refresh was good");
    }
    my $source = Test::Kiro::slurp($t->{simulator}{credentials});
    my ($last) = reverse $t->seen;
    is($last->{headers}{authorization}, 'Bearer ' . json($source)->{accessToken}, 'write_back: the source is up to date');
    secrets_of($_->{dir}, $t, $b) for $t, $b;
    $_->stop for $b, $t;
}

# --- and two accounts on one source ------------------------------------------------------------------------------

{
    my $t = Test::Kiro->new(login => 'credentials_file', http => 'kiro_account twin { %%TWIN%% }');
    $t->start_sim;
    my $source = "credentials_file $t->{simulator}{credentials}; endpoint %%ENDPOINT%%; management_endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%; profile_arn $t->{simulator}{oidc_profile_arn};";
    for my $case ([ $source, 1 ], [ "$source refresh off;", 0 ], [ $source =~ s/credentials_file \S+/credentials_file $t->{simulator}{oidc};/r, 0 ]) {
        $t->{vars}{TWIN} = $case->[0];
        my ($status, $words) = $t->test_config;
        is($status, 0, 'two accounts: they may be') or diag $words;
        is($words =~ /\[warn\].*is the login of "main" as well/ ? 1 : 0, $case->[1], 'two accounts: a warning where they share');
    }
    $t->stop;
}

done_testing;
