use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Two workers, an expired token, fifty requests at once: one refresh.

for my $login (qw(credentials_file oidc refresh_token_file)) {
    my $t = Test::Kiro->new(login => $login, sim => ['--expired'], listen => 'reuseport')->start;

    my $burst = sub {
        my ($name, $refreshes) = @_;
        my @x = map { $_ % 2 ? $t->openai_x('hello', stream => $_ % 4 == 1) : $t->anthropic_x('hello', stream => $_ % 4 == 0) } 1 .. 50;
        $t->run(60, @x);
        my %status;
        $status{ $_->{error} // $_->{status} }++ for @x;
        is_deeply(\%status, { 200 => 50 }, "$login, $name: all are served");
        my $stats = $t->stats;
        is($stats->{refresh}, $refreshes, "$login, $name: refreshes so far");
        is($stats->{refresh_ok}, $refreshes, "$login, $name: all of them good");
        return;
    };

    $burst->('expired in the source', 1);
    my %pids = map { $_->{pid} => 1 } $t->access(50);
    is(keys %pids, 2, "$login: both workers took part");
    is(scalar(grep { $_->{status} != 200 } $t->seen), 0, "$login: no request went up with the old token");

    $burst->('still good', 1);

    $t->sim(POST => 'tokens', { expire => JSON::PP::true });
    $burst->('refused upstream', 2);
    my @again = grep { $_->{attempts} == 2 } $t->access(150);
    ok(@again >= 1, "$login: refused requests were tried again");
    is((grep { $_->{why} ne 'auth_expired' } @again)[0], undef, "$login: because of the login");

    $t->sim(POST => 'auth', { plan => [ { delay_ms => 700 } ] });
    $t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
    $burst->('revoked, slow auth host', 3);

    is($t->stats->{invalid_grant}, 0, "$login: rotated refresh tokens were kept");
    like((map { $_->{headers}{'user-agent'} } $t->seen)[0], qr{^ngx_kiro/\d}, "$login: the module says who it is");
    $t->stop;
}

# A token that lives for less than refresh_before is not refreshed all the time.
{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => [ '--expired', '--token-ttl', 120 ])->start;
    $t->openai_object($t->openai('hello'), 'a token of two minutes');
    sleep 4;
    is($t->stats->{refresh}, 1, 'one refresh is enough for a while');
    $t->stop;
}

# More requests at once than a worker keeps memory for: each has its own token, and gives it back.
{
    my $t = Test::Kiro->new(login => 'credentials_file', workers => 1)->start;
    for my $round (1, 2) {
        my @x = map { $t->openai_x(scripted({ hold => 'crowd', words => 2 })) } 1 .. 300;
        $t->turn(0.1, @x) until Test::Kiro::wait_for(0.1, sub { ($t->stats->{held}{crowd} // 0) == 300 }) || $x[0]{done};
        $t->sim(POST => 'release');
        $t->run(60, @x);
        is(scalar(grep { ($_->{status} // 0) == 200 } @x), 300, "a crowd, round $round: all are served");
    }
    is(scalar(keys %{ { map { $_->{headers}{authorization} => 1 } $t->seen } }), 1, 'a crowd: with the one token');
    is($t->stats->{refresh}, 0, 'a crowd: which was never refused');
    $t->stop;
}

done_testing;
