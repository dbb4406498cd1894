use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_health: 200 while requests can be served.

for my $login (qw(api_key_file credentials_file)) {
    my $t = Test::Kiro->new(login => $login)->start;
    my $r = $t->get('/health');
    $t->ok_response($r, 200, qr{^application/json}, "$login: healthy");
    ok(ref json($r->{body}) eq 'HASH', 'an object');
    $t->_learn_secrets;
    is(scalar(grep { index($r->{body}, $_) >= 0 } keys %{ $t->{secrets} }), 0, 'no secret in it');
    $r = ($t->run($t->exchange('HEAD', '/health')))[0];
    is($r->{status}, 200, 'HEAD');
    is($r->{body}, '', 'without a body');
    is($t->post('/health', '{}')->{status}, 405, 'POST is refused');
    $t->stop;
}

my $t = Test::Kiro->new(login => 'credentials_file', sim => ['--expired'], allow => qr/log in again/);
$t->start_sim;
$t->sim(POST => 'tokens', { revoke_refresh => JSON::PP::true });
$t->start_nginx;
ok(Test::Kiro::wait_for(10, sub { $t->get('/health')->{status} == 503 }), 'a dead login: 503');
$t->done;
