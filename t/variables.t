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

$t->done;
