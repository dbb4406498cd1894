use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;

# The auth host fails: a good token is never thrown away, a request waits no
# longer than token_timeout, and a login that is dead says so.

{
    # Still good for a minute, but inside refresh_before: failures do not matter.
    my $t = Test::Kiro->new(login => 'credentials_file', sim => [ '--token-ttl', 60 ], account => 'refresh_before 10m;');
    $t->start_sim;
    $t->sim(POST => 'auth', { plan => [ map { { status => 500 } } 1 .. 50 ] });
    $t->start_nginx;
    Test::Kiro::wait_for(5, sub { $t->stats->{refresh} >= 1 });
    cmp_ok($t->stats->{refresh}, '>=', 1, 'an early refresh was tried');
    $t->openai_object($t->openai('hello'), 'with the old token');
    cmp_ok($t->stats->{refresh}, '<', 10, 'not in a storm');
    $t->sim(POST => 'auth', { plan => [] });
    $t->stop;
}

# What the auth host does, and what becomes of a request meanwhile.
for my $fault (
    [ 'status 500' => { status => 500 } ],
    [ 'status 429' => { status => 429 } ],
    [ 'drop'       => { drop => JSON::PP::true } ],
    [ 'reset'      => { rst => JSON::PP::true } ],
    [ 'HTML'       => { html => JSON::PP::true, status => 502 } ],
    [ 'garbage'    => { raw_body => '{"accessToken":', status => 200 } ],
    )
{
    my ($name, $plan) = @$fault;
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 20s;');
    $t->start_sim;
    $t->sim(POST => 'auth', { plan => [$plan] });
    $t->start_nginx;
    my $r = $t->openai('hello', timeout => 40);
    $t->openai_object($r, "$name once");
    is($t->stats->{refresh}, 2, "$name: refreshed at the second try");
    $t->stop;
}

{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 1s;');
    $t->start_sim;
    $t->sim(POST => 'auth', { plan => [ map { { hang => JSON::PP::true } } 1 .. 20 ] });
    $t->start_nginx;
    my $began = time;
    my $r = $t->openai('hello');
    my $e = $t->error_shape($r, 'openai', [ 502, 503, 504 ], 'a deaf auth host');
    my $took = time - $began;
    ok($took > 0.7 && $took < 3 * Test::Kiro::patience(), 'after token_timeout') or diag $took;
    is($t->last_access(1)->{error}, 'token_timeout', '$kiro_error');
    is($t->stats->{generate}, 0, 'nothing went up with the expired token');
    $t->stop;
}

{
    my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], account => 'token_timeout 5s;',
        allow => qr/log in again/);
    $t->start_sim;
    $t->sim(POST => 'tokens', { revoke_refresh => JSON::PP::true });
    $t->start_nginx;
    for my $api (qw(openai anthropic)) {
        my $r = $api eq 'openai' ? $t->openai('hello') : $t->anthropic('hello', stream => 1);
        my $e = $t->error_shape($r, $api, [ 401, 502, 503 ], "a dead login, $api");
        like($e->{message}, qr/log ?in/i, 'it says that somebody must log in');
    }
    is(($t->access(2))[0]{error}, 'login_required', '$kiro_error');
    is($t->get('/health')->{status}, 503, '/health knows');
    cmp_ok($t->stats->{refresh}, '<=', 4, 'a dead login is not hammered');
    $t->stop;
}

done_testing;
