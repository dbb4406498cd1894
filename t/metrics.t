use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# kiro_metrics: what it counts is what the access log says.

my $t = Test::Kiro->new(
    workers => 2, allow => qr/exited on signal 9/, key => 'sk-metrics', login => 'credentials_file', account => 'quota_retry off; cool_down off; kiro_concurrency 50;',
    location => 'kiro_retries 1;', server => 'location = /metrics { kiro_metrics; }',
)->start;

# {name}{labels} = value, in the order of the text.
sub metrics {
    my $r = $t->get('/metrics');
    is($r->{status}, 200, 'metrics') or return {};
    is($r->header('content-type'), 'text/plain; version=0.0.4; charset=utf-8', 'their type');
    my (%of, %type, $family);
    for (split /\n/, $r->{body}) {
        if (/^# HELP (\w+) \S.*\.$/) { $family = $1; ok(!$type{$1}, "$1 comes once"); next }
        if (/^# TYPE (\w+) (counter|gauge|histogram)$/) { is($1, $family, "$1: TYPE behind HELP"); $type{$1} = $2; next }
        /^(\w+?)(_bucket|_sum|_count)?(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\})? (-?\d+(?:\.\d+)?)$/ or return fail("a line: $_");
        my ($name, $part, $labels, $value) = ($1, $2 // '', $3 // '', $4);
        ok($name eq $family || "$name$part" eq $family, "a line of its family: $_") if $name ne $family;
        ok(!exists $of{"$name$part"}{$labels}, "a line comes once: $_") if exists $of{"$name$part"}{$labels};
        $of{"$name$part"}{$labels} = $value;
    }
    return \%of;
}

# The sum of those series whose labels match.
sub total {
    my ($m, $name, @like) = @_;
    my $sum = 0;
    for my $labels (keys %{ $m->{$name} // {} }) {
        $sum += $m->{$name}{$labels} if @like == grep { $labels =~ $_ } @like;
    }
    return $sum;
}

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

# A bit of everything, with a reload in the middle.
my @kinds = (
    sub { $t->openai_x(scripted({ words => 5, credits => 0.125, first_ms => 15 }), stream => 1) },
    sub { $t->openai_x(scripted({ words => 7, credits => 0.0300007 })) },
    sub { $t->anthropic_x(scripted({ words => 3, credits => 1.5 }), stream => 1, body => { model => 'claude-haiku-4.5' }) },
    sub { $t->openai_x(scripted(['500', { words => 3, credits => 0.01 }])) },
    sub { $t->openai_x(scripted('500', '500')) },
    sub { $t->openai_x(scripted('429', '429'), stream => 1) },
    sub { $t->openai_x("metrics $_[0]", body => { model => "junk-$_[0]" }) },
    sub { $t->exchange(POST => '/v1/chat/completions', '{', ) },
    sub { $t->exchange(GET => '/v1/nothing') },
    sub { $t->exchange(POST => '/v1/messages/count_tokens', { model => 'claude-sonnet-4.5', messages => [{ role => 'user', content => 'x' }] }) },
    sub { $t->exchange(POST => '/v1/chat/completions', '{}', headers => [ Authorization => 'Bearer wrong' ]) },
    sub { $t->exchange(GET => '/v1/models') },
);
my $n = 0;
for my $round (1 .. 12) {
    my @x = map { $_->($n++) } @kinds;
    $t->reload if $round == 6;
    $t->run(60, @x);
}

my @log = grep { $_->{uri} =~ m{^/v1/} } $t->access($n + 1); # one for the metrics
is(scalar @log, $n, 'each request is in the log once');
$m = metrics();

my %count;
$count{ $_->{status} }++ for @log;
for my $status (sort keys %count) {
    is(total($m, 'kiro_requests_total', qr/status="$status"/), $count{$status}, "requests with $status");
}
is(total($m, 'kiro_requests_total'), $n, 'all requests');
cmp_ok(scalar keys %count, '>=', 6, 'there were many statuses');

my %field = (
    kiro_input_tokens_total => 'input', kiro_output_tokens_total => 'output', kiro_reasoning_tokens_total => 'reasoning',
    kiro_cache_read_tokens_total => 'cache_read', kiro_cache_write_tokens_total => 'cache_write', kiro_credits_total => 'credits',
);
for my $api ('openai', 'anthropic') {
    for my $name (sort keys %field) {
        my $sum = 0;
        $sum += $_->{ $field{$name} } || 0 for grep { $_->{api} eq $api } @log;
        is(sprintf('%.6f', total($m, $name, qr/api="$api"/)), sprintf('%.6f', $sum), "$api: $name");
    }
}
cmp_ok(total($m, 'kiro_credits_total'), '>', 18, 'credits were counted');

is(total($m, 'gen_ai_server_request_duration_seconds_count'), $n, 'durations');
my @first = grep { length $_->{ttft} } @log;
is(total($m, 'gen_ai_server_time_to_first_token_seconds_count'), scalar @first, 'times to the first token');
my $sum = 0;
$sum += $_->{ttft} for @first;
is(sprintf('%.3f', total($m, 'gen_ai_server_time_to_first_token_seconds_sum')), sprintf('%.3f', $sum), 'their sum');
for my $family (qw(gen_ai_server_request_duration_seconds gen_ai_server_time_to_first_token_seconds)) {
    for my $labels (keys %{ $m->{"${family}_count"} }) {
        my @le = map { /^\Q$labels\E,le="(.*)"$/ ? [ $1 eq '+Inf' ? 9e9 : $1, $m->{"${family}_bucket"}{$_} ] : () } keys %{ $m->{"${family}_bucket"} };
        @le = sort { $a->[0] <=> $b->[0] } @le;
        my @fall = grep { $le[$_][1] < $le[ $_ - 1 ][1] } 1 .. $#le;
        is(scalar @fall, 0, "$family: buckets grow");
        is($le[-1][1], $m->{"${family}_count"}{$labels}, "$family: the last has all");
    }
}

my $retries = 0;
$retries += ($_->{attempts} || 1) - 1 for @log;
is(total($m, 'kiro_retries_total'), $retries, 'retries');
cmp_ok(total($m, 'kiro_retries_total', qr/reason="upstream_error"/), '>=', 24, 'by their reason');

is(total($m, 'kiro_requests_total', qr/model="junk/), 0, 'names that clients make up get no series');
is(total($m, 'kiro_requests_total', qr/model="other"/), 12, 'but are counted');

# What is open at the moment.
open_requests(0, 'nothing is open');
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

SKIP: {
    my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};
    skip 'there is no promtool', 1 if !$promtool;
    Test::Kiro::spew("$t->{dir}/metrics", $t->get('/metrics')->{body});
    is(qx{$promtool check metrics <'$t->{dir}/metrics' 2>&1}, '', 'promtool has nothing to say');
}

$t->done;
