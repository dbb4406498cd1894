use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;

# A fault behind the first words ends the stream in the dialect's own form:
# what came is kept, then one error, then a clean end of the response.

my $t = Test::Kiro->new(location => 'kiro_read_timeout 800ms; kiro_first_token_timeout 800ms;')->start;

# plan, words that must have come at least, $kiro_error
my @cases = (
    [ 'mid',      'One two three', qr/upstream_cut/ ],
    [ 'midrst',   '',              qr/upstream_c/ ],
    [ 'midhang',  'One two three', qr/upstream_timeout/ ],
    [ 'midexc',   'One two three', qr/./ ],
    [ 'errframe', 'One two three', qr/upstream_error/ ],
    [ 'crc',      'One',           qr/upstream_protocol/ ],
    [ 'prelude',  'One',           qr/upstream_protocol/ ],
    [ { text => 'One two three four five six.', gap_ms => 60, cut => { events => 3, mode => 'rst' } }, 'One two three', qr/upstream_c/ ],
    [ { text => 'One two three four five six.', cut => { bytes => 300 } }, 'One', qr/upstream_c/ ],
    [ { text => 'One two three four five six.', framing => 'length', cut => { events => 3 } }, 'One two three', qr/upstream_c/ ],
);
my $n = 0;
for (@cases) {
    my ($plan, $text, $error) = @$_;
    my $name = ref $plan ? json($plan) : $plan;
    for my $api (qw(openai anthropic)) {
        my $began = time;
        my $r = $api eq 'openai' ? $t->openai(scripted($plan), stream => 1) : $t->anthropic(scripted($plan), stream => 1);
        if ($r->{status} == 200) {
            my $s = $api eq 'openai' ? $t->openai_stream($r, "$name, $api") : $t->anthropic_stream($r, "$name, $api");
            ok($s->{error}, "$name, $api: an error event") or diag $r->{body};
            ok(length $s->{error}{message}, 'with words');
            like($s->{text}, qr/^\Q$text\E/, 'what had come is there');
            unlike($s->{text}, qr/six/, 'and nothing that had not');
            ok(!$r->{error} && $r->{last_chunk}, 'the response ends cleanly');
        }
        else {
            # reset connections may lose the words that had come
            ok($name =~ /rst/, "$name, $api: failed before the first word");
            $t->error_shape($r, $api, [ 502, 503 ], "$name, $api");
        }
        cmp_ok(time - $began, '<', 6 * Test::Kiro::patience(), 'in time');
        like($t->last_access(++$n)->{error}, $error, '$kiro_error');
    }
}

# Silence that ends in time is no fault.
my $s = $t->openai_stream($t->openai(scripted({ text => 'One two three', silence_ms => 300, silence_at => 2 }), stream => 1), 'a pause');
is($s->{text}, 'One two three', 'all of it');

$t->done;
