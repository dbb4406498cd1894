use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# Chat Completions, streamed and collected, over TLS and over plain TCP.

for my $scheme (qw(https http)) {
    my $t = Test::Kiro->new(scheme => $scheme)->start;

    my @answers = (
        [ 'words',          scripted({ words => 7 }), join ' ', map { "word$_" } 1 .. 7 ],
        [ 'one word',       scripted({ text => 'Hi' }), 'Hi' ],
        [ 'escapes',        scripted({ text => "a\"b\\c\n\t\x01/é漢😀\x{2028}" }), "a\"b\\c\n\t\x01/é漢😀\x{2028}" ],
        [ 'ascii escapes',  scripted({ text => "é漢😀 ok", ascii => JSON::PP::true }), "é漢😀 ok" ],
        [ 'byte by byte',   scripted({ text => "é漢😀 bytes", chunk => 1 }), "é漢😀 bytes" ],
        [ 'unknown events', scripted({ text => 'a b c', unknown_events => JSON::PP::true }), 'a b c' ],
        [ 'no metadata',    scripted({ text => 'a b c', no_metadata => JSON::PP::true }), 'a b c' ],
        [ '300 kB',         scripted({ bytes => 300_000, piece => 3000 }), undef, 300_000 ],
        [ 'large pieces',   scripted({ bytes => 400_000, piece => 200_000 }), undef, 400_000 ],
    );
    for (@answers) {
        my ($name, $prompt, $text, $length) = @$_;
        my $s = $t->openai_stream($t->openai($prompt, stream => 1), "$scheme, $name, streamed", usage => 0);
        my $o = $t->openai_object($t->openai($prompt . '.'), "$scheme, $name, collected");
        if (defined $text) {
            is($s->{text}, $text, 'text streamed');
            is($o->{text}, $text, 'text collected');
        }
        else {
            is(length $s->{text}, $length, 'length streamed');
            ok($s->{text} eq $o->{text}, 'the same text collected');
        }
        is($s->{finish}, 'stop', 'finish_reason streamed');
        is($o->{finish}, 'stop', 'finish_reason collected');
        is($_->{model}, 'claude-sonnet-4.5', 'the model that was asked for') for $s, $o;
        is_deeply($o->{tools}, [], 'no tools');
    }

    my $r = $t->openai(scripted({ words => 5, context_pct => 3 }), stream => 1, usage => 1);
    my ($s, $o);
    $s = $t->openai_stream($r, "$scheme, with usage", usage => 1);
    cmp_ok($s->{usage}{prompt_tokens}, '>', 0, 'prompt tokens');
    cmp_ok($s->{usage}{completion_tokens}, '>', 0, 'completion tokens');
    like($r->header('x-request-id'), qr/^\S{8,}$/, 'x-request-id');
    like($r->header('cache-control'), qr/no-cache/, 'cache-control');
    is($r->header('content-length'), undef, 'no length on a stream');

    my %ids;
    my @x = map { $t->openai_x(scripted({ words => 3 }), stream => $_ % 2) } 1 .. 20;
    $t->run(60, @x);
    for (@x) {
        $ids{ $_->{body} =~ /"id":"([^"]+)"/ ? $1 : '' }++;
        $ids{ $_->header('x-request-id') }++ if $_->header('x-request-id');
    }
    is((grep { $_ > 1 } values %ids), 0, 'ids are unique');
    ok(!exists $ids{''}, 'every answer has an id');

    # Conversation: system text, history, several user messages, images.
    # Without its tail an answer is not whole: retried while that is possible, else
    # marked as cut.
    $s = $t->openai_stream($t->openai(scripted('notail'), stream => 1), "$scheme, no tail, streamed");
    is($s->{finish}, 'length', 'it counts as cut');
    $o = $t->openai_object($t->openai(scripted('notail', 'ok')), "$scheme, no tail, collected");
    like($o->{text}, qr/^You said: /, 'the second answer');

    $t->sim(POST => 'reset');
    $r = $t->openai([
        { role => 'system', content => 'You are terse.' },
        { role => 'developer', content => 'Speak Latin.' },
        { role => 'user', content => 'first' },
        { role => 'assistant', content => 'salve' },
        { role => 'user', content => 'second' },
        { role => 'user', content => [ { type => 'text', text => 'third' },
            { type => 'image_url', image_url => { url => 'data:image/png;base64,'
                . 'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEElEQVR4nGP4z8AARAwQCgAf7gP9i18U1AAAAABJRU5ErkJggg==' } } ] },
    ]);
    $o = $t->openai_object($r, "$scheme, history and image");
    like($o->{text}, qr/^You said: .*third/s, 'the last turn is answered');
    my ($seen) = $t->seen;
    my $sent = json($seen->{body});
    like($sent, qr/You are terse\./, 'system text arrived');
    like($sent, qr/Speak Latin\./, 'developer text arrived');
    like($sent, qr/salve/, 'history arrived');
    like($sent, qr/iVBORw0KGgo/, 'the image arrived');

    $t->stop;
}

done_testing;
