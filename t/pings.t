use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Silence of the upstream is filled with pings, which do not keep a dead
# upstream alive.

my $t = Test::Kiro->new(
    location => 'kiro_ping_interval 300ms; kiro_read_timeout 4s;',
    server   => <<'EOT',
        location /off/v1/   { kiro_pass main; kiro_ping_interval off; }
        location /short/v1/ { kiro_pass main; kiro_ping_interval 200ms; kiro_read_timeout 1200ms; }
EOT
)->start;

my $silent = { text => 'One two three', silence_ms => 2000, silence_at => 2 };

my $s = $t->openai_stream($t->openai(scripted($silent), stream => 1), 'openai');
ok($s->{comments} >= 4 && $s->{comments} <= 8, 'comments in the silence') or diag $s->{comments};
is($s->{text}, 'One two three', 'the text is whole');
$s = $t->anthropic_stream($t->anthropic(scripted($silent), stream => 1), 'anthropic');
ok($s->{pings} >= 4 && $s->{pings} <= 8, 'ping events in the silence') or diag $s->{pings};
is($s->{text}, 'One two three', 'the text is whole');

# They arrive when they are due, not at the end.
my $r = $t->openai(scripted($silent), stream => 1);
my @at = map { $r->time_of($_->{at}) } grep { defined $_->{comment} } Test::Kiro::SSE::parse_sse($r->{body}, []);
my @gaps = map { $at[$_] - $at[ $_ - 1 ] } 1 .. $#at;
is(scalar(grep { $_ < 0.15 || $_ > 0.6 * Test::Kiro::patience() } @gaps), 0, 'evenly') or diag "@gaps";

# No ping while words flow, none where they are off, none in a collected answer.
$s = $t->openai_stream($t->openai(scripted({ words => 20, gap_ms => 50 }), stream => 1), 'a busy stream');
is($s->{comments}, 0, 'no pings between words');
$s = $t->anthropic_stream($t->anthropic(scripted($silent), stream => 1, path => '/off/v1/messages'), 'pings off');
cmp_ok($s->{pings}, '<=', 1, 'no pings');
my $o = $t->anthropic_object($t->anthropic(scripted($silent)), 'a collected answer');
is($o->{text}, 'One two three', 'the text');

# The idle deadline holds although pings go out.
$r = $t->openai(scripted('midhang'), stream => 1, path => '/short/v1/chat/completions');
$s = $t->openai_stream($r, 'a dead upstream');
ok($s->{error}, 'ends with an error');
cmp_ok($s->{comments}, '>=', 3, 'after some pings');
cmp_ok($r->{ended_at}, '<', 3 * Test::Kiro::patience(), 'when kiro_read_timeout is over');
is($t->last_access(7)->{error}, 'upstream_timeout', '$kiro_error');

$t->done;
