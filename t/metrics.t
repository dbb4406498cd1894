use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Metrics;

# kiro_metrics: its form, what is open, accounts and names. What it counts is in metrics_log.t.

my $t = Test::Kiro->new(
    workers => 2, allow => qr/exited on signal 9/, key => 'sk-metrics', login => 'credentials_file', account => 'quota_retry off; cool_down off; kiro_concurrency 50;',
    location => 'kiro_retries 1;', server => 'location = /metrics { kiro_metrics; }',
)->start;

sub metrics {
    my $r = $t->get('/metrics');
    is($r->{status}, 200, 'metrics') or return {};
    is($r->header('content-type'), 'text/plain; version=0.0.4; charset=utf-8', 'their type');
    my ($m, @faults) = Test::Kiro::Metrics::read($r->{body});
    is_deeply(\@faults, [], 'they are well formed');
    return $m;
}

sub total { return Test::Kiro::Metrics::total(@_) }

# A request begins and ends a moment beside what its client sees.
sub open_requests {
    my ($want, $name) = @_;
    return ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { total(metrics(), 'kiro_open_requests') == $want }), $name);
}

my $m = metrics();
is(total($m, 'kiro_requests_total'), 0, 'no request yet');
is(total($m, 'kiro_account_usable'), 1, 'the account is usable');
is($m->{kiro_account_state}{'account="main",state="ok"'}, 1, 'its state');
cmp_ok(total($m, 'kiro_token_expires_seconds'), '>', 60, 'its token');

is($m->{kiro_account_state}{'account="main",state="needs_login"'}, 0, 'the others');
is(total($m, 'kiro_account_state'), 1, 'one of all');
is($m->{kiro_refreshes_total}{qq(account="main",result="$_")}, 0, "no refresh: $_") for qw(ok failed refused);

# Something in each family, for those that check the form.
$t->run(30, map { $_->() } (
    sub { $t->openai_x(scripted({ words => 5, credits => 0.125, first_ms => 15 }), stream => 1) },
    sub { $t->openai_x(scripted(['500', { words => 3, credits => 0.01 }])) },
    sub { $t->anthropic_x(scripted('429', '429')) },
    sub { $t->exchange(POST => '/v1/chat/completions', '{') },
));
open_requests(0, 'all have ended');
is(total(metrics(), 'kiro_retries_total', account => 'main', reason => 'upstream_error'), 1, 'a retry by its reason');
is(total(metrics(), 'kiro_errors_total', error => 'rate_limited', api => 'anthropic'), 1, 'an error by its kind');
$t->reload;
is(total(metrics(), 'kiro_requests_total'), 4, 'a reload keeps the counters');

# What is open at the moment.
my $x = $t->openai_x(scripted({ words => 3, first_ms => 3000 }), stream => 1);
$t->turn(0.3, $x);
open_requests(1, 'one request is open');
is(total(metrics(), 'kiro_open_streams'), 0, 'its stream has not begun');
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { total(metrics(), 'kiro_concurrency_running') == 1 }), 'it holds a place');
is(total(metrics(), 'kiro_concurrency_waiting'), 0, 'nobody waits');
kill KILL => $_ for $t->workers;
$t->run(10, $x);
open_requests(0, 'that of a worker that died is not');

my $h = ($t->run($t->exchange(HEAD => '/metrics')))[0];
is($h->{status}, 200, 'HEAD');
is($h->{body}, '', 'without a body');
is($t->post('/metrics', '{}')->{status}, 405, 'POST is refused');

# Nothing but kiro_filter.
{
    my $vectors = Test::Kiro::root() . '/gtest/data/vectors';
    my $f = Test::Kiro->new(sim => 0, conf => <<"EOT");
    server {
        listen 127.0.0.1:%%PORT%%;
        location /filter/ { alias $vectors/; kiro_filter openai; types { application/vnd.amazon.eventstream bin; } }
        location = /metrics { kiro_metrics; }
    }
EOT
    $f->start;
    is($f->get('/filter/s01_text.bin')->{status}, 200, 'an answer of kiro_filter') for 1 .. 3;
    Test::Kiro::wait_for(5, sub { ($f->access(1)) >= 3 });
    like($f->get('/metrics')->{body}, qr/^kiro_requests_total\{account="",api="openai",model="",status="200"\} 3$/m, 'they are counted without an account');
    $f->stop;
}

# A request that error_page sends to another kiro_pass is open once. Names beyond the table's room are "other".
{
    my $names = 60;
    my $o = Test::Kiro->new(
        http => 'kiro_zone small:256k;',
        location => join(' ', 'kiro_retries 0;', map { "kiro_model_alias name-$_ model-$_;" } 1 .. $names),
        server => 'location = /metrics { kiro_metrics; } location /first/v1/ { kiro_pass main; kiro_client_key sk-of-first; error_page 401 = @then; } location @then { kiro_pass main; }',
    )->start;
    my $x = $o->openai_x(scripted({ words => 3, first_ms => 3000 }), path => '/first/v1/chat/completions');
    $o->turn(0.3, $x);
    ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { $o->get('/metrics')->{body} =~ /^kiro_open_requests 1$/m }), 'led on by error_page: open once')
        or diag $o->get('/metrics')->{body} =~ /^(kiro_open_requests.*)/m;
    $o->run(30, $x);
    $o->run(60, map { $o->openai_x("a name $_", body => { model => "name-$_" }) } 1 .. $names);
    my $m;
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { ($m) = Test::Kiro::Metrics::read($o->get('/metrics')->{body}); $m->{kiro_open_requests}{''} == 0 });
    is(total($m, 'kiro_requests_total'), $names + 1, 'all are counted');
    my $own = total($m, 'kiro_requests_total', model => qr/^model-/);
    cmp_ok($own, '>', 30, 'many under their own names');
    is(total($m, 'kiro_requests_total', account => 'other', model => 'other'), $names - $own, 'those for which there was no room as "other"');
    cmp_ok($own, '<', $names, 'which some were');
    $o->stop;
}

SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    skip 'there is no promtool', 1 if !$promtool;
    Test::Kiro::spew("$t->{dir}/metrics", $t->get('/metrics')->{body});
    is(qx{$promtool check metrics <'$t->{dir}/metrics' 2>&1}, '', 'promtool has nothing to say');
}

$t->done;
