use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# What the upstream refuses for good is not tried again and keeps its meaning.

my $t = Test::Kiro->new->start;

# plan, OpenAI status, type or code; Anthropic status, type; $kiro_error
my @cases = (
    [ 'quota',     429, 'insufficient_quota',      402, 'billing_error',         'quota' ],
    [ 'denied',    403, undef,                     403, 'permission_error',      'access_denied' ],
    [ 'suspended', 403, undef,                     403, 'permission_error',      'suspended' ],
    [ 'overflow',  400, 'context_length_exceeded', 400, 'invalid_request_error', 'context_overflow' ],
    [ { status => 400, reason => 'INVALID_MODEL_ID', message => 'Invalid model.' },
        404, 'model_not_found', 404, 'not_found_error', 'model_not_found' ],
    [ { status => 400, reason => 'REQUEST_BODY_INVALID' }, 400, 'invalid_request_error', 400, 'invalid_request_error',
        'upstream_refused' ],
    [ { status => 429, reason => 'MONTHLY_REQUEST_COUNT' }, 429, 'insufficient_quota', 402, 'billing_error', 'quota' ],
    [ { status => 423 }, 403, undef, 403, 'permission_error', 'suspended' ],
    [ { status => 200, exception => { type => 'ValidationException', reason => 'CONTENT_LENGTH_EXCEEDS_THRESHOLD',
            message => 'Input is too long.', before => JSON::PP::true } },
        400, 'context_length_exceeded', 400, 'invalid_request_error', 'context_overflow' ],
);
my $n = 0;
for (@cases) {
    my ($plan, $openai, $code, $anthropic, $type, $error) = @$_;
    my $name = ref $plan ? join ' ', grep { defined } @$plan{qw(status reason)} : $plan;
    for my $stream (0, 1) {
        my $r = $t->openai(scripted($plan), stream => $stream);
        my $e = $t->error_shape($r, 'openai', $openai, "$name, openai");
        is((grep { defined && $_ eq $code } @$e{qw(type code)}) ? $code : undef, $code, 'type or code') if defined $code;
        my $log = $t->last_access(++$n);
        is($log->{attempts}, 1, 'one attempt');
        is($log->{error}, $error, '$kiro_error');
        $r = $t->anthropic(scripted($plan), stream => $stream);
        $e = $t->error_shape($r, 'anthropic', $anthropic, "$name, anthropic");
        is($e->{type}, $type, 'type');
        is($t->last_access(++$n)->{attempts}, 1, 'one attempt');
        unlike($r->{body}, qr/arn:aws|amazon|__type/, 'nothing of the upstream body shows');
    }
}

# Only the log, and only at info, says what the service said: on one line, cut.
sub said { return $t->grep_log(qr/\[info\].*the service answered/) }
my @said = said();
cmp_ok(scalar @said, '>=', 28, 'each refusal is in the log');
ok((grep { /the service answered 400: ".*REQUEST_BODY_INVALID/ } @said), 'with its reason');
$t->openai(scripted({ status => 400, raw_body => "one\ntwo\x7f" . 'x' x 600 . 'end' }));
my ($last) = (said())[-1];
like($last, qr/the service answered 400: "one two x{504}"/, 'one line of at most 512 bytes');
$n++;

# Overflow texts that clients act on.
my $r = $t->openai(scripted('overflow'));
like($r->{body}, qr/maximum context length/i, 'OpenAI clients recognise the overflow');
$r = $t->anthropic(scripted('overflow'));
like($r->{body}, qr/prompt is too long/i, 'Anthropic clients recognise the overflow');

# A quota that is used up tells the SDKs not to try again.
$r = $t->openai(scripted('quota'));
is($r->header('x-should-retry'), 'false', 'x-should-retry');

$t->done;
