use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;

# What fails before the client has seen anything is tried again, and the log
# says how often and why.

my $t = Test::Kiro->new(
    location => 'kiro_retries 3; kiro_first_token_timeout 700ms; kiro_read_timeout 700ms;',
    server   => <<'EOT',
        location /once/v1/ { kiro_pass main; kiro_retries 0; }
        location /one/v1/  { kiro_pass main; kiro_retries 1; kiro_retry_delay 50ms 2s; }
        location /cap/v1/  { kiro_pass main; kiro_retries 3; kiro_retry_delay 50ms 500ms; }
        location /slow/v1/ { kiro_pass main; kiro_retries 2; kiro_retry_delay 400ms 800ms; }
EOT
)->start;

# plan, attempts, $kiro_retry_reason
my @cases = (
    [ [qw(ok)],                 1, '' ],
    [ [qw(500 ok)],             2, qr/upstream_error/ ],
    [ [qw(502 ok)],             2, qr/./ ],
    [ [qw(503 ok)],             2, qr/./ ],
    [ [qw(504 ok)],             2, qr/./ ],
    [ [qw(html ok)],            2, qr/./ ],
    [ [qw(429 ok)],             2, qr/rate_limited/ ],
    [ [qw(throttle ok)],        2, qr/rate_limited/ ],
    [ [qw(capacity ok)],        2, qr/overloaded/ ],
    [ [qw(inband ok)],          2, qr/rate_limited/ ],
    [ [qw(drop drop ok)],       undef, qr/upstream_c/ ],
    [ [qw(rst rst ok)],         undef, qr/upstream_c/ ],
    [ [qw(hang ok)],            2, qr/upstream_timeout/ ],
    [ [qw(empty ok)],           2, qr/./ ],
    [ [qw(500 500 500 ok)],     4, qr/upstream_error/ ],
);
my $n = 0;
for (@cases) {
    my ($plan, $attempts, $why) = @$_;
    for my $api (qw(openai anthropic)) {
        for my $stream (0, 1) {
            my $name = "@$plan, $api " . ($stream ? 'streamed' : 'collected');
            my $prompt = scripted(@$plan);
            my ($r, $s);
            if ($api eq 'openai') {
                $r = $t->openai($prompt, stream => $stream);
                $s = $stream ? $t->openai_stream($r, $name) : $t->openai_object($r, $name);
            }
            else {
                $r = $t->anthropic($prompt, stream => $stream);
                $s = $stream ? $t->anthropic_stream($r, $name) : $t->anthropic_object($r, $name);
            }
            like($s->{text} // '', qr/^You said: /, 'the answer');
            my $log = $t->last_access(++$n);
            if (defined $attempts) { is($log->{attempts}, $attempts, '$kiro_attempts') }
            else {
                # a kept connection that turns out to be dead costs no attempt
                like($log->{attempts}, qr/^[23]$/, '$kiro_attempts');
                is(($t->seen)[-1]{attempt}, 3, 'three requests went up');
            }
            ref $why ? like($log->{why}, $why, '$kiro_retry_reason') : is($log->{why} =~ s/^-$//r, '', 'no reason');
            is($log->{error} =~ s/^-$//r, '', 'no error');
        }
    }
}

# In a collected answer faults behind the first words are invisible too.
for my $plan (qw(mid midrst midhang midexc errframe crc prelude)) {
    my $o = $t->openai_object($t->openai(scripted($plan, 'ok')), "$plan, collected");
    like($o->{text}, qr/^You said: /, 'only the good answer is seen');
    is($t->last_access(++$n)->{attempts}, 2, '$kiro_attempts');
}

# When retries are used up, the client gets the true status.
my @final = (
    [ '500',      502, 502, 'upstream_error' ],
    [ '429',      429, 429, 'rate_limited' ],
    [ 'capacity', 503, 529, 'overloaded' ],
    [ 'inband',   429, 429, 'rate_limited' ],
    [ 'drop',     502, 502, undef ],
    [ 'rst',      502, 502, undef ],
    [ 'empty',    502, 502, undef ],
);
for (@final) {
    my ($plan, $openai, $anthropic, $error) = @$_;
    for my $stream (0, 1) {
        my $r = $t->openai(scripted($plan), path => '/one/v1/chat/completions', stream => $stream);
        $t->error_shape($r, 'openai', $openai, "$plan for ever, openai");
        my $log = $t->last_access(++$n);
        my $attempts = $plan =~ /drop|rst/ ? qr/^[12]$/ : qr/^2$/;
        like($log->{attempts}, $attempts, 'two attempts');
        is($log->{error}, $error, '$kiro_error') if $error;
        $r = $t->anthropic(scripted($plan), path => '/one/v1/messages', stream => $stream);
        $t->error_shape($r, 'anthropic', $anthropic, "$plan for ever, anthropic");
        like($t->last_access(++$n)->{attempts}, $attempts, 'two attempts');
    }
}
my $r = $t->openai(scripted('500', 'ok'), path => '/once/v1/chat/completions');
$t->error_shape($r, 'openai', 502, 'kiro_retries 0');
is($t->last_access(++$n)->{attempts}, 1, 'one attempt');

# Retry-After of the upstream is passed on and, between attempts, waited for.
$r = $t->openai(scripted('throttle'), path => '/once/v1/chat/completions');
$t->error_shape($r, 'openai', 429, 'throttled');
is($r->header('retry-after'), 1, 'Retry-After');
$n++;
my $began = time;
$t->openai_object($t->openai(scripted('throttle', 'ok')), 'throttled once');
cmp_ok(time - $began, '>=', 0.9, 'waited as told');
$n++;

# A wait that is longer than the longest delay is left to the client.
$r = $t->openai(scripted('throttle', 'ok'), path => '/cap/v1/chat/completions');
$t->error_shape($r, 'openai', 429, 'told to wait too long');
is($r->header('retry-after'), 1, 'Retry-After');
is($t->last_access(++$n)->{attempts}, 1, 'one attempt');

# The delay grows.
$began = time;
$t->openai_object($t->openai(scripted('500', '500', 'ok'), path => '/slow/v1/chat/completions'), 'two faults');
cmp_ok(time - $began, '>=', 0.5, 'it waited between the attempts');
cmp_ok(time - $began, '<', 4 * Test::Kiro::patience(), 'and not too long');

# The request that goes up again is the same.
$t->sim(POST => 'reset');
$t->openai_object($t->openai(scripted('503', '500', 'ok')), 'three attempts');
my @bodies = map { json($_->{body}) } $t->seen;
is(@bodies, 3, 'three requests');
ok($bodies[0] eq $bodies[1] && $bodies[1] eq $bodies[2], 'the body is the same every time');

$t->done;
