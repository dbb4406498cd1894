use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use MIME::Base64 qw(encode_base64);
use Test::More;
use Test::Kiro;
use Test::Kiro::Net;

# Hosts whose addresses change, and hosts that only a proxy reaches.

my $t = Test::Kiro->new(workers => 1);
$t->start_sim;
my $dns = Test::Kiro::Net->dns($t);
my $px  = Test::Kiro::Net->proxy($t);
my $sim = $t->{simulator};
my ($port, $plain) = @$sim{qw(tls_port port)};
my $password = 'p@ss-SECRET/1';
$t->secret($password, encode_base64("user:$password", ''));
system "openssl req -x509 -newkey rsa:2048 -nodes -keyout $t->{dir}/files/other.key -out $t->{dir}/files/other.pem "
    . '-days 2 -subj /CN=other >/dev/null 2>&1';

my $key   = "api_key_file $sim->{api_key_file}; models_interval off;";
my $tls   = "ssl_trusted_certificate $sim->{ca}; ssl_name localhost;";
my $names = 'resolver 127.0.0.1:' . $dns->port . ' ipv6=off; resolver_timeout 1s;';
my $via   = 'proxy http://user:p%40ss-SECRET%2F1@127.0.0.1:' . $px->port . ';';
my %account = (
    moving => "$key $tls $names endpoint https://moving.test:$port; keepalive 0;",
    kept   => "$key $tls $names endpoint https://kept.test:$port;",
    slow   => "$key $tls $names endpoint https://slow.test:$port; keepalive 0;",
    absent => "$key $tls $names endpoint https://absent.test:$port;",
    mute   => "$key $tls $names endpoint https://mute.test:$port;",
    several => "$key $tls $names endpoint https://several.test:$port; keepalive 0;",
    tunnel => "$key $tls $via endpoint https://runtime.behind.test:$port;",
    single => "$key $tls $via endpoint https://runtime.behind.test:$port; keepalive 0;",
    clear  => "$key $via endpoint http://runtime.behind.test:$plain;",
    named  => "$key $tls $names proxy http://proxy.test:" . $px->port . "; endpoint https://runtime.behind.test:$port; keepalive 0;",
    wrongca => "$key $via ssl_trusted_certificate %%FILES%%/other.pem; ssl_name localhost; endpoint https://runtime.behind.test:$port;",
    wrongname => "$key $via ssl_trusted_certificate $sim->{ca}; endpoint https://runtime.behind.test:$port;",
    anyname => "$key $via ssl_verify off; endpoint https://runtime.behind.test:$port;",
    login  => "credentials_file $sim->{credentials}; state_path %%STATE%%; $tls $names
        endpoint https://runtime.login.test:$port; auth_endpoint https://auth.login.test:$port;
        management_endpoint https://management.login.test:$port;",
    tlogin => "credentials_file $sim->{oidc}; profile_arn $sim->{oidc_profile_arn}; state_path %%STATE%%; $tls $via
        endpoint https://runtime.tlogin.test:$port; auth_endpoint https://auth.tlogin.test:$port;
        management_endpoint https://management.tlogin.test:$port;",
);
$t->{conf} = join "\n", (map { "kiro_account $_ { $account{$_} }" } sort keys %account),
    'server { listen 127.0.0.1:%%PORT%%; kiro_retry_delay 50ms 2s; kiro_retries 1; kiro_connect_timeout 3s;',
    (map { "location /$_/v1/ { kiro_pass $_; }" } sort keys %account), '}';
$t->start_nginx;

my $n = 0;
sub ask { my ($where, $what, %o) = @_; $n++; return $t->openai($what // 'hello from ' . $n, path => "/$where/v1/chat/completions", %o) }
sub fine { my ($where, $name) = @_; $t->openai_object(ask($where), $name); return $t->last_access($n) }

sub fails {
    my ($where, $status, $error, $attempts, $name) = @_;
    my $seen = $t->stats->{generate};
    $t->error_shape(ask($where), 'openai', $status, $name);
    my $log = $t->last_access($n);
    is($log->{error}, $error, "$name: \$kiro_error");
    is($log->{attempts}, $attempts, "$name: attempts");
    is($t->stats->{generate}, $seen, "$name: nothing reached the service");
    return $log;
}

# --- names -----------------------------------------------------------------

is(scalar($dns->asked), 0, 'nothing is looked up at start');

# Nobody is at the first address; then it changes, without a reload.
$dns->set('moving.test' => { a => ['127.0.0.9'], ttl => 1 });
my $log = fails('moving', 502, 'upstream_connect', 2, 'an address where nobody is');
like($log->{upstream}, qr/^127\.0\.0\.9:$port : 127\.0\.0\.9:$port$/, '$upstream_addr shows where');
is($log->{upstream_status}, '502 : 502', '$upstream_status');
$dns->set('moving.test' => { a => ['127.0.0.1'], ttl => 1 });
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { ask('moving')->{status} == 200 }), 'the new address is used');
my $fw = Test::Kiro::Net->forward($t, '127.0.0.2', $port);
$dns->set('moving.test' => { a => ['127.0.0.2'], ttl => 1 });
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { fine('moving', 'while it changes')->{upstream} =~ /^127\.0\.0\.2:/ }),
    'and the next one');

# The name is gone, or its server: what was known is used.
$dns->set('moving.test' => { rcode => 3 });
sleep 2;
is(fine('moving', 'a name that is gone')->{attempts}, 1, 'the last address serves');
$dns->set('moving.test' => { silent => 1 });
sleep 2;
is(fine('moving', 'a silent name server')->{attempts}, 1, 'so it does then');
$dns->set('moving.test' => { a => ['127.0.0.1'], ttl => 1 });
ok(Test::Kiro::wait_for(20 * Test::Kiro::patience(), sub { fine('moving', 'until it is back')->{upstream} =~ /^127\.0\.0\.1:/ }),
    'a name that comes back is found');

# One answer serves many connections.
$dns->set('slow.test' => { a => ['127.0.0.1'], ttl => 60 });
my @x = map { $n++; $t->openai_x("one of many $_", path => '/slow/v1/chat/completions') } 1 .. 20;
$t->run(30, @x);
is(scalar(grep { ($_->{status} // 0) == 200 } @x), 20, 'twenty at once');
is(scalar(grep { /^slow\.test 1$/ } $dns->asked), 1, 'one question');

# Of several addresses some are dead.
$dns->set('several.test' => { a => [qw(127.0.0.9 127.0.0.1 127.0.0.10)], ttl => 1 });
for (1 .. 6) { is(fine('several', "dead addresses, $_")->{attempts}, 1, 'counted as one attempt'); select undef, undef, undef, 0.4 }

$log = fails('absent', 502, 'upstream_connect', 2, 'a name that does not exist');
like($log->{upstream}, qr/^absent\.test : absent\.test$/, '$upstream_addr is the name');
$dns->set('mute.test' => { silent => 1 });
fails('mute', [ 502, 504 ], 'upstream_connect', 2, 'a name server that is silent');

# --- idle connections ------------------------------------------------------

$dns->set('kept.test' => { a => ['127.0.0.2'], ttl => 60 });
fine('kept', 'a connection');
my $before = $t->stats->{connections_accepted};
fine('kept', 'the same') for 1 .. 3;
is($t->stats->{connections_accepted}, $before, 'it is used again');
$fw->cut;
is(fine('kept', 'the service closed an idle one')->{attempts}, 1, 'that is seen');
is($t->stats->{connections_accepted}, $before + 1, 'a new one is made');

# It looks alive until something is sent.
$fw->set(mode => 'deaf');
my $refused = ask('kept', 'sent into nothing');
$t->error_shape($refused, 'openai', 502, 'a service that ends every connection');
$log = $t->last_access($n);
is($log->{attempts}, 2, 'the idle connection did not count');
is(scalar(my @tried = split / : /, $log->{upstream}), 3, 'three were tried');
$fw->set(mode => 'ok');
fine('kept', 'the service is back');

# The upstream is killed in the middle of an answer.
my $x = $t->openai_x(scripted({ words => 30, gap_ms => 100 }), stream => 1, path => '/kept/v1/chat/completions');
$n++;
$t->turn(1.2, $x);
$fw->cut;
$t->run(10, $x);
like($x->{body}, qr/upstream_cut|connection to the service|"error"/, 'a stream that breaks says so');
fine('kept', 'afterwards');

# --- a proxy ---------------------------------------------------------------

my $auth = encode_base64("user:$password", '');
$log = fine('tunnel', 'through a tunnel');
is($log->{upstream}, '127.0.0.1:' . $px->port, '$upstream_addr is the proxy');
my @asked = $px->asked;
is($asked[0], "runtime.behind.test $port runtime.behind.test:$port $auth", 'CONNECT with host and credentials');
fine('tunnel', 'through the same tunnel') for 1 .. 3;
is(scalar($px->asked), scalar @asked, 'no new tunnel');
is(scalar(grep { /behind/ } $dns->asked), 0, 'the host is not looked up by us');
$px->cut;
is(fine('tunnel', 'the proxy cut it')->{attempts}, 1, 'a new tunnel');
fine('clear', 'http through a tunnel');
$px->set(mode => 'slow');
fine('single', 'an answer in small pieces');
$px->set(mode => 'ok');
$dns->set('proxy.test' => { a => ['127.0.0.1'], ttl => 60 });
fine('named', 'a proxy with a name');
like(($px->asked)[-1], qr/ -$/, 'without credentials');

for my $case (
    [ 407 => 502, 'upstream_connect', 1 ], [ 403 => 502, 'upstream_connect', 1 ], [ 502 => 502, 'upstream_connect', 2 ],
    [ cut => 502, 'upstream_connect', 2 ], [ garbage => 502, 'upstream_connect', 2 ], [ huge => 502, 'upstream_connect', 2 ],
    [ partial => 502, 'upstream_connect', 2 ], [ early => 502, 'upstream_connect', 2 ], [ silent => 504, 'upstream_timeout', 2 ],
) {
    my ($mode, $status, $error, $attempts) = @$case;
    $px->set(mode => "$mode");
    fails('single', $status, $error, $attempts, "proxy: $mode");
}
like(join("\n", $t->grep_log(qr/proxy answered 407/)), qr/account: "single"/, 'the log says whose');
$px->set(mode => 'ok');
fine('single', 'the proxy is well again');

# TLS is with the host behind it.
fails($_, 502, 'upstream_tls', 1, "verification: $_") for qw(wrongca wrongname);
fine('anyname', 'ssl_verify off');

# --- logins ----------------------------------------------------------------

$dns->set("$_.login.test" => { a => ['127.0.0.1'], ttl => 60 }) for qw(runtime auth management);
for my $who (qw(login tlogin)) {
    fine($who, "$who: a good token");
    $t->sim(POST => 'tokens', { expire => JSON::PP::true });
    my $refreshes = $t->stats->{refresh_ok};
    fine($who, "$who: after a refresh");
    is($t->stats->{refresh_ok}, $refreshes + 1, "$who: the auth host was asked");
    $n++;
    my $models = $t->get("/$who/v1/models");
    is($models->{status}, 200, "$who: models");
}
ok((grep { /^auth\.tlogin\.test / } $px->asked), 'the auth host by the proxy');
ok((grep { /^management\.tlogin\.test / } $px->asked), 'the management host, too');
ok((grep { /^auth\.login\.test 1/ } $dns->asked), 'the auth host by the resolver');

# --- clients and workers that leave ----------------------------------------

$px->set(mode => 'silent');
$x = $t->openai_x('leaves while connecting', path => '/single/v1/chat/completions');
$t->turn(0.5, $x);
undef $x;
is($t->last_access(++$n)->{status}, 499, 'it is noticed at once');
$px->set(mode => 'ok');
fine('single', 'after a client that left');

$px->set(mode => 'silent');
$x = $t->openai_x('connecting during a stop', path => '/single/v1/chat/completions');
$t->turn(0.5, $x);
my @old = $t->workers;
$t->reload;
ok(grep({ kill 0, $_ } @old), 'a worker stays for a request that waits for its connection');
$t->run(20, $x);
$n++;
is($x->{status}, 504, 'which gets its answer');
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { !grep { kill 0, $_ } @old }), 'and then it ends');

$px->set(mode => 'ok');
fine('tunnel', 'an idle connection before the end');
fine('kept', 'another');
ok($t->stop_nginx('quit', 3), 'idle connections do not delay a graceful stop');
is(scalar($t->grep_log(qr/open socket/)), 0, 'and are closed by it');

$_->stop for $dns, $px, $fw;
$t->done;
