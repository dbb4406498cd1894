use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;

# How retries are made: delays, limits, the same body, what the log says. What is retried at all is t/fault_matrix.t.

my $t = Test::Kiro->new(
    account  => 'cool_down off;',
    location => 'kiro_retries 3;',
    server   => <<'EOT',
        location /once/v1/ { kiro_pass main; kiro_retries 0; }
        location /cap/v1/  { kiro_pass main; kiro_retries 3; kiro_retry_delay 50ms 500ms; }
        location /slow/v1/ { kiro_pass main; kiro_retries 2; kiro_retry_delay 400ms 800ms; }
EOT
)->start;
my $n = 0;

my $r = $t->openai(scripted('500', 'ok'), path => '/once/v1/chat/completions');
$t->error_shape($r, 'openai', 502, 'kiro_retries 0');
is($t->last_access(++$n)->{attempts}, 1, 'one attempt');

# Retry-After of the upstream is passed on and, between attempts, waited for.
$r = $t->openai(scripted('throttle'), path => '/once/v1/chat/completions');
$t->error_shape($r, 'openai', 429, 'throttled');
is($r->header('retry-after'), 1, 'Retry-After');
like($r->{body}, qr/try again in 1s/, 'in words too');
$n++;
my $began = time;
$t->openai_object($t->openai(scripted('throttle', 'ok')), 'throttled once');
cmp_ok(time - $began, '>=', 0.9, 'waited as told');
is($t->last_access(++$n)->{attempts}, 2, 'two attempts');

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
$n++;

# Faults of different kinds count together.
$t->anthropic_object($t->anthropic(scripted('empty', 'drop', '503', 'ok')), 'three faults');
my $log = $t->last_access(++$n);
is("$log->{attempts} $log->{why}", '4 overloaded', 'the log has the last reason');
$r = $t->anthropic(scripted('500', 'html', 'crc', '502', 'ok'));
$t->error_shape($r, 'anthropic', 502, 'a fault too many');
is($t->last_access(++$n)->{attempts}, 4, 'four attempts');

# The request that goes up again is the same.
$t->sim(POST => 'reset');
$t->openai_object($t->openai(scripted('503', '500', 'ok')), 'three attempts');
my @bodies = map { json($_->{body}) } $t->seen;
is(@bodies, 3, 'three requests');
ok($bodies[0] eq $bodies[1] && $bodies[1] eq $bodies[2], 'the body is the same every time');

# Silence that ends in time is no fault.
my $s = $t->openai_stream($t->openai(scripted({ text => 'One two three', silence_ms => 300, silence_at => 2 }), stream => 1), 'a pause');
is($s->{text}, 'One two three', 'all of it');

# Only the log, and only at info, says what the service said: on one line, cut, readable also where it was compressed.
sub said { return $t->grep_log(qr/\[info\].*the service answered/) }
$t->openai(scripted('400'));
ok((grep { /the service answered 400: ".*REQUEST_BODY_INVALID/ } said()), 'with its reason');
$t->openai(scripted({ status => 400, raw_body => "one\ntwo\x7f" . 'x' x 600 . 'end' }));
like((said())[-1], qr/the service answered 400: "one two x{504}"/, 'one line of at most 512 bytes');
$t->openai(scripted({ status => 400, raw_body => 'squeezed', gzip => 1 }));
like((said())[-1], qr/the service answered 400: "squeezed"/, 'what was compressed');
my $before = said();
$t->openai(scripted({ status => 400, raw_body => 'not squeezed', gzip => 'bad' }));
is(scalar said(), $before, 'what is not what it says is left out');
is(scalar $t->grep_log(qr/\[warn\].*not readable: 12 bytes, compressed/), 1, 'but told');

$t->done;
