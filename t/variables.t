use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Digest::SHA qw(sha256_hex);
use Test::More;
use Test::Kiro;

# What the access log can say about a request.

my $t = Test::Kiro->new(key => 'sk-variables-test')->start;

my $r = $t->openai(scripted({ words => 20, context_pct => 5, credits => 0.25, first_ms => 200 }), stream => 1, usage => 1);
my $s = $t->openai_stream($r, 'openai streamed', usage => 1);
my $v = $t->last_access(1);
is($v->{api}, 'openai', '$kiro_api') or diag json($v);
is($v->{model}, 'claude-sonnet-4.5', '$kiro_model');
is($v->{client}, 'tester', '$kiro_client');
is($v->{account}, 'main', '$kiro_account');
like($v->{stream}, qr/^(?:1|on|yes|true)$/, '$kiro_stream');
is($v->{input}, $s->{usage}{prompt_tokens}, '$kiro_input_tokens is what the client was told');
is($v->{output}, $s->{usage}{completion_tokens}, '$kiro_output_tokens too');
cmp_ok($v->{credits}, '==', 0.25, '$kiro_credits');
cmp_ok($v->{context}, '==', 5, '$kiro_context_percent');
is($v->{attempts}, 1, '$kiro_attempts');
is($v->{stop}, 'stop', '$kiro_stop_reason');
like($v->{ttft}, qr/^\d+\.\d{3}$/, '$kiro_first_token_time');
cmp_ok($v->{ttft}, '>=', 0.19, 'it holds the wait for the first token');
is($v->{id}, $r->header('x-request-id'), '$kiro_request_id is what the client was told');
like($v->{conversation}, qr/^[0-9a-f-]{36}$/, '$kiro_conversation');
like(($t->seen)[-1]{body}{conversationState}{conversationId}, qr/^(?:sess_)?\Q$v->{conversation}\E$/, 'it is what went up');
is($v->{upstream_status}, '200', '$upstream_status');

$r = $t->anthropic(scripted('500', 'ok'));
my $o = $t->anthropic_object($r, 'anthropic collected');
$v = $t->last_access(2);
is($v->{api}, 'anthropic', '$kiro_api');
unlike($v->{stream}, qr/^(?:1|on|yes|true)$/, '$kiro_stream');
is($v->{attempts}, 2, '$kiro_attempts');
is($v->{why}, 'upstream_error', '$kiro_retry_reason');
is($v->{stop}, 'end_turn', '$kiro_stop_reason');
is($v->{input}, $o->{usage}{input_tokens}, '$kiro_input_tokens');
is($v->{id}, $r->header('request-id'), '$kiro_request_id');
like($v->{upstream_status}, qr/500.*200/, '$upstream_status shows both attempts');

$r = $t->openai('x', headers => [ Authorization => 'Bearer wrong' ]);
$v = $t->last_access(3);
is($v->{status}, 401, 'a refused client');
is($v->{error}, 'unauthenticated', '$kiro_error');

$r = $t->post('/v1/messages', '{');
$v = $t->last_access(4);
is($v->{error}, 'invalid_json', '$kiro_error of broken JSON');
is($v->{api}, 'anthropic', '$kiro_api all the same');

$r = $t->openai(scripted({ words => 50, gap_ms => 30 }), stream => 1, abort => { bytes => 2000 });
$v = $t->last_access(5);
is($v->{status}, 200, 'a client that left');
is($v->{account}, 'main', 'has its variables too');

$r = $t->get('/health');
$v = $t->last_access(6);
is($v->{model} =~ s/^-$//r, '', 'nothing where nothing is');

# Two turns of one conversation have one id.
my @turn = ({ role => 'user', content => 'a question that is asked only here' });
$t->openai_object($t->openai([@turn]), 'first turn');
my $one = $t->last_access(7)->{conversation};
push @turn, { role => 'assistant', content => 'an answer' }, { role => 'user', content => 'and then?' };
$t->openai_object($t->openai([@turn]), 'second turn');
is($t->last_access(8)->{conversation}, $one, 'the conversation id is the same');

# --- where nginx takes variables: map, add_header, conditional logs, set, return --------------------------------------------

my $p = Test::Kiro::patience();
my $u = Test::Kiro->new(
    login => 'credentials_file', account => 'quota_retry off; cool_down off; kiro_concurrency 1 queue=5 timeout=20s;',
    http => <<'EOT',
    kiro_account spare { api_key_file %%API_KEY_FILE%%; endpoint %%SCHEME%%://kiro_runtime; ssl_trusted_certificate %%CA%%; ssl_name localhost; }
    kiro_budget_zone $http_x_who zone=who:256k;
    map $kiro_error $failed { "" 0; default 1; }
    map $kiro_model $early { default "[$kiro_model]"; }
    map $kiro_model $late { volatile; default "[$kiro_model]"; }
    map $kiro_output_tokens $size { volatile; "" none; ~^[0-9]$ small; default big; }
    log_format short '$request_uri $status $kiro_error $size';
EOT
    location => 'kiro_retries 1;',
    server => <<'EOT',
        add_header X-Attempts   $kiro_attempts always;
        add_header X-Retries    $kiro_retries always;
        add_header X-First      $kiro_first_token_time always;
        add_header X-Queue      $kiro_queue_time always;
        add_header X-Token-Wait $kiro_token_wait_time always;
        add_header X-Error      $kiro_error always;
        add_header X-Output     $kiro_output_tokens always;
        add_header X-Credits    $kiro_credits always;
        add_header X-Size       $size always;
        add_header X-Left       $kiro_budget_left always;
        add_header X-Fallback   "$kiro_fallback_account: $kiro_fallback" always;
        add_header X-Early      $early always;
        add_header X-Late       $late always;
        access_log %%DIR%%/logs/access.log kiro;
        access_log %%DIR%%/logs/failed.log short if=$failed;
        location = /metrics  { kiro_metrics; access_log off; }
        location /early/v1/  { set $model $early; set $model $late; kiro_pass main; }
        location /budget/v1/ { kiro_pass spare; kiro_budget zone=who tokens=100k/day; }
        location /fall/v1/   { kiro_pass main; kiro_retries 0; kiro_fallback @spare; }
        location @spare      { kiro_pass spare; }
        location /page/v1/   { kiro_pass main; kiro_client_key sk-of-page; error_page 401 = @page; }
        location @page       { return 200 "$kiro_api $kiro_error"; }
EOT
)->start;

my $logged = 0;
sub entry { return $u->last_access(++$logged) }

$r = $u->openai(scripted({ words => 20, credits => 0.25, first_ms => 60 }));
$v = entry();
is($r->header('x-attempts'), 1, 'add_header of an answer that does not stream: attempts');
is($r->header('x-output'), $v->{output}, 'tokens');
is($r->header('x-credits'), '0.250000', 'credits');
is($r->header('x-first'), $v->{ttft}, 'time to the first token');
is($r->header('x-size'), 'big', 'a map of it');
is($r->header('x-error'), undef, 'no header for what has no value');
is($r->header($_), undef, "$_: neither") for qw(x-queue x-token-wait x-left);

$r = $u->openai(scripted('500', { words => 3, credits => 0.25, first_ms => 60 }), stream => 1);
$v = entry();
is($r->header('x-attempts'), 2, 'of a stream: attempts');
is($r->header('x-retries'), 1, 'one of them again');
like($r->header('x-first'), qr/^\d+\.\d{3}$/, 'the first token was there');
is($r->header('x-size'), 'none', 'tokens were not');
is($v->{retries}, 1, '$kiro_retries');
like($v->{output}, qr/^\d+$/, 'in the log they are');

$r = $u->anthropic(scripted('500', '500'));
is($r->header('x-error'), 'upstream_error', 'an error: its kind');
is($r->header('x-attempts'), 2, 'its attempts');
is(entry()->{error}, 'upstream_error', 'as in the log');

$r = $u->openai(scripted('mid'), stream => 1);
is($r->header('x-error'), undef, 'a stream that breaks later has none in its headers');
is(entry()->{error}, 'upstream_cut', 'but in the log');

my $failed = '';
Test::Kiro::wait_for(5 * $p, sub { ($failed = Test::Kiro::slurp("$u->{dir}/logs/failed.log")) =~ tr/\n// >= 2 });
like($failed, qr{\A/v1/messages 502 upstream_error none\n/v1/chat/completions 200 upstream_cut \w+\n\z}, 'if= logs those that failed, and no others');

$r = $u->openai(scripted({ words => 3 }), path => '/early/v1/chat/completions');
entry();
is($r->header('x-early'), '[]', 'a map that was used too early keeps what it had');
is($r->header('x-late'), '[claude-sonnet-4.5]', 'not so with volatile');

my @x = map { $u->openai_x(scripted({ words => 3, first_ms => 200 })) } 1 .. 2;
$u->run(30, @x);
my @queue = sort map { $_->header('x-queue') // 'none' } @x;
like($queue[0], qr/^\d+\.\d{3}$/, 'the second of two waited');
is($queue[1], 'none', 'the first did not');
is_deeply([ sort map { $_->{queue} } ($u->access($logged + 2))[ -2, -1 ] ], [ '', $queue[0] ], 'as in the log');
$logged += 2;

$u->sim(POST => 'tokens', { expire => $JSON::PP::true });
$r = $u->openai(scripted({ words => 3 }));
$v = entry();
is($r->{status}, 200, 'after a refresh');
like($r->header('x-token-wait'), qr/^\d+\.\d{3}$/, 'it waited for a token');
is($v->{token_wait}, $r->header('x-token-wait'), 'as in the log');
is($v->{why}, 'auth_expired', 'its attempt before was refused');

for my $left (100_000, qr/^99\d\d\d$/) {
    $r = $u->openai(scripted({ words => 3 }), path => '/budget/v1/chat/completions', headers => [ 'X-Who' => 'alice' ]);
    $v = entry();
    like($r->header('x-left'), ref $left ? $left : qr/^$left$/, '$kiro_budget_left') or diag $r->{head};
    is($v->{budget_left}, $r->header('x-left'), 'as in the log');
    Test::Kiro::wait_for(5 * $p, sub { $u->get('/metrics')->{body} =~ /^kiro_open_requests 0$/m });    # it is settled
}

$r = $u->openai(scripted('quota', { words => 3 }), path => '/fall/v1/chat/completions');
is($r->header('x-fallback'), 'main: quota', '$kiro_fallback_account and $kiro_fallback');
$v = entry();
is("$v->{account} $v->{fallback_account} $v->{fallback} $v->{attempts} $v->{retries}", 'spare main quota 2 0', 'as in the log');

$r = $u->openai('page', path => '/page/v1/chat/completions');
is($r->{body}, 'openai unauthenticated', 'variables of a request are there in the page that error_page leads to');
is(entry()->{error}, 'unauthenticated', 'and in the log');

$t->done;
