use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Messages, streamed and collected, over TLS and over plain TCP.

for my $scheme (qw(https http)) {
    my $t = Test::Kiro->new(scheme => $scheme)->start;

    my @answers = (
        [ 'words',          scripted({ words => 7 }), join ' ', map { "word$_" } 1 .. 7 ],
        [ 'one word',       scripted({ text => 'Hi' }), 'Hi' ],
        [ 'escapes',        scripted({ text => "a\"b\\c\n\t\x01/é漢😀\x{2028}" }), "a\"b\\c\n\t\x01/é漢😀\x{2028}" ],
        [ 'byte by byte',   scripted({ text => "é漢😀 bytes", chunk => 1 }), "é漢😀 bytes" ],
        [ 'unknown events', scripted({ text => 'a b c', unknown_events => JSON::PP::true }), 'a b c' ],
        [ '300 kB',         scripted({ bytes => 300_000, piece => 3000 }), undef, 300_000 ],
    );
    for (@answers) {
        my ($name, $prompt, $text, $length) = @$_;
        my $s = $t->anthropic_stream($t->anthropic($prompt, stream => 1), "$scheme, $name, streamed");
        my $o = $t->anthropic_object($t->anthropic($prompt . '.'), "$scheme, $name, collected");
        if (defined $text) {
            is($s->{text}, $text, 'text streamed');
            is($o->{text}, $text, 'text collected');
        }
        else {
            is(length $s->{text}, $length, 'length streamed');
            ok($s->{text} eq $o->{text}, 'the same text collected');
        }
        is($s->{stop}, 'end_turn', 'stop_reason streamed');
        is($o->{stop}, 'end_turn', 'stop_reason collected');
        is($_->{model}, 'claude-sonnet-4-5', 'the model that was asked for') for $s, $o;
        is_deeply($o->{tools}, [], 'no tools');
    }

    my $r = $t->anthropic(scripted({ words => 5, context_pct => 3 }), stream => 1);
    my ($s, $o);
    $s = $t->anthropic_stream($r, "$scheme, usage");
    cmp_ok($s->{usage}{input_tokens}, '>', 0, 'input tokens');
    cmp_ok($s->{usage}{output_tokens}, '>', 0, 'output tokens');
    like($r->header('request-id'), qr/^\S{8,}$/, 'request-id');
    is($r->header('content-length'), undef, 'no length on a stream');

    # Without its tail an answer is not whole: retried while that is possible, else
    # marked as cut.
    $s = $t->anthropic_stream($t->anthropic(scripted('notail'), stream => 1), "$scheme, no tail, streamed");
    is($s->{stop}, 'max_tokens', 'it counts as cut');
    $o = $t->anthropic_object($t->anthropic(scripted('notail', 'ok')), "$scheme, no tail, collected");
    like($o->{text}, qr/^You said: /, 'the second answer');

    $t->sim(POST => 'reset');
    $r = $t->anthropic([
        { role => 'user', content => 'first' },
        { role => 'assistant', content => [ { type => 'text', text => 'salve' } ] },
        { role => 'user', content => [
            { type => 'image', source => { type => 'base64', media_type => 'image/png',
                data => 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==' } },
            { type => 'text', text => 'third', cache_control => { type => 'ephemeral' } } ] },
    ], body => { system => [ { type => 'text', text => 'You are terse.' } ] });
    $o = $t->anthropic_object($r, "$scheme, history and image");
    like($o->{text}, qr/^You said: .*third/s, 'the last turn is answered');
    my ($seen) = $t->seen;
    my $sent = json($seen->{body});
    like($sent, qr/You are terse\./, 'system text arrived');
    like($sent, qr/salve/, 'history arrived');
    like($sent, qr/iVBORw0KGgo/, 'the image arrived');

    $t->stop;
}

done_testing;
