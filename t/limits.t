use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# What the service does not know and the gateway does itself: where an answer ends, what form it has, and
# what is asked for in words.

my $t = Test::Kiro->new->start;
my $soon = 3 * Test::Kiro::patience();

sub current_text {
    my ($n) = @_;
    my $b = (($t->seen)[ $n // -1 ])->{body};
    $b = json($b) unless ref $b;
    return $b->{conversationState}{currentMessage}{userInputMessage}{content};
}

# Requests that the service got since the last call.
my $known = 0;

sub attempts {
    my $all = $t->stats->{generate};
    my $new = $all - $known;
    $known = $all;
    return $new;
}

# Each way to ask: (name, ask(plan, body), which member stops, which limits).
my %api = (
    openai => {
        ask => sub { my ($p, %o) = @_; $t->openai($p, %o) },
        stream => sub { $t->openai_stream(@_) }, object => sub { $t->openai_object(@_) },
        stop => 'stop', limit => 'max_completion_tokens', key => 'finish', stopped => 'stop', limited => 'length',
    },
    anthropic => {
        ask => sub { my ($p, %o) = @_; $t->anthropic($p, %o) },
        stream => sub { $t->anthropic_stream(@_) }, object => sub { $t->anthropic_object(@_) },
        stop => 'stop_sequences', limit => 'max_tokens', key => 'stop', stopped => 'stop_sequence', limited => 'max_tokens',
    },
);

$api{responses} = {
    ask => sub { my ($p, %o) = @_; $t->responses($p, %o) },
    stream => sub { $t->responses_stream(@_) }, object => sub { $t->responses_object(@_) },
    limit => 'max_output_tokens', key => 'status', limited => 'incomplete',
};

for my $name (sort keys %api) {
    my $a = $api{$name};
    for my $stream (0, 1) {
        my $way  = "$name, " . ($stream ? 'streamed' : 'collected');
        my $read = $stream ? $a->{stream} : $a->{object};

        # a stop text, cut over the frames
        my $text = "Act.\nObservation: nothing";
        my ($r, $s);
        if ($a->{stop}) {
            $r = $a->{ask}->(scripted({ text => $text, piece => 3 }), stream => $stream,
                body => { $a->{stop} => [ 'unused', "\nObservation" ] });
            $s = $read->($r, "$way, stop text");
            is($s->{text}, 'Act.', 'the text before it');
            is($s->{ $a->{key} }, $a->{stopped}, 'the reason');
            like($r->{body}, qr/"stop_sequence":"\\nObservation"/, 'which one') if $name eq 'anthropic';

            $r = $a->{ask}->(scripted({ text => $text, piece => 3 }), stream => $stream, body => { $a->{stop} => ["Observations"] });
            $s = $read->($r, "$way, no stop text");
            is($s->{text}, $text, 'the whole text');
        }

        # the limit
        $r = $a->{ask}->(scripted({ text => 'x' x 100, piece => 7 }), stream => $stream, body => { $a->{limit} => 10 });
        $s = $read->($r, "$way, limit");
        is($s->{text}, 'x' x 45, 'ten tokens');
        is($s->{ $a->{key} }, $a->{limited}, 'the reason');
        cmp_ok($s->{usage}{completion_tokens} // $s->{usage}{output_tokens}, '<=', 10, 'usage within the limit')
            if $s->{usage};

        # the upstream is left when the answer is over
        for my $end (grep { defined } $a->{stop}, $a->{limit}) {
            $t->sim(POST => 'reset');
            $known = 0;
            $r = $a->{ask}->(scripted({ text => 'One two END' . ' more' x 2000, piece => 4, gap_ms => 20 }), stream => $stream,
                body => { $end => $end eq $a->{limit} ? 3 : ['END'] });
            $read->($r, "$way, $end ends it");
            ok(Test::Kiro::wait_for($soon, sub { $t->stats->{open_streams} == 0 }), 'the upstream is closed');
            is($t->stats->{streams_closed_by_client}, 1, 'by us');
            is(attempts(), 1, 'one attempt');
        }
    }
}

# The next request gets a connection that works.
$t->openai_object($t->openai('after the limits'), 'another request');

# A tool call that does not fit is not there, and nothing of it.
my $tool = { type => 'function', function => { name => 'get_weather', parameters => { type => 'object', properties => {} } } };
for my $stream (0, 1) {
    my $r = $t->openai(scripted({ text => 'Hm.', tools => [ { input => { city => 'x' x 500 } } ] }), stream => $stream,
        body => { tools => [$tool], max_tokens => 20 });
    my $s = $stream ? $t->openai_stream($r, 'long call') : $t->openai_object($r, 'long call');
    is_deeply($s->{tools}, [], 'no call');
    is($s->{finish}, 'length', 'length');
}

# What is asked for in words.
$t->openai_object($t->openai('which tool, plainly', body => { tools => [$tool] }), 'plain');
unlike(current_text(), qr/tool in|calling/, 'nothing is said without need');
$t->openai_object($t->openai('which tool, required', body => { tools => [$tool], tool_choice => 'required', parallel_tool_calls => JSON::PP::false }), 'required');
like(current_text(), qr/\Awhich tool, required\n\nAnswer by calling at least one of the tools.*\n\nCall at most one tool/, 'required, one at most');
$t->openai_object($t->openai('which tool, by name', body => { tools => [$tool],
    tool_choice => { type => 'function', function => { name => 'get_weather' } } }), 'named');
like(current_text(), qr/calling the tool "get_weather"/, 'named');
$t->anthropic_object($t->anthropic([ { role => 'user', content => 'begin it' }, { role => 'assistant', content => 'Once upon' } ]), 'prefill');
like(current_text(), qr/\AYour last message is not finished/, 'an answer that was begun');

# JSON: the form is asked for, a fence is taken off, what does not match is asked for once more.
attempts();
my $schema = { type => 'object', properties => { city => { type => 'string' } }, required => ['city'] };
my %format = (
    openai => { response_format => { type => 'json_schema', json_schema => { name => 'place', schema => $schema } } },
    responses => { text => { format => { type => 'json_schema', name => 'place', schema => $schema } } },
    anthropic => { output_config => { format => { type => 'json_schema', schema => $schema } } },
);
for my $name (sort keys %api) {
    my $a = $api{$name};
    for my $stream (0, 1) {
        my $read = $stream ? $a->{stream} : $a->{object};
        my $r = $a->{ask}->(scripted({ text => "```json\n{\"city\": \"Oslo\"}\n```\n", piece => 2 }), stream => $stream, body => $format{$name});
        my $s = $read->($r, "$name, fence, stream $stream");
        is($s->{text}, '{"city": "Oslo"}', 'without the fence');
        like(current_text(), qr/JSON Schema below.*"required":\["city"\]/s, 'the schema is in the prompt');
        is(attempts(), 1, 'one attempt');
    }
    my $repairs = grep { $_->{why} eq 'repair_output' } $t->access;
    my $r = $a->{ask}->(scripted({ text => '{"town":"Oslo"}' }, { text => '{"city":"Oslo"}' }), body => $format{$name});
    my $s = $a->{object}->($r, "$name, repaired");
    is($s->{text}, '{"city":"Oslo"}', 'the second answer');
    like(current_text(), qr/refused: .*"city" is missing/, 'the second request says what was wrong');
    is(attempts(), 2, 'two attempts');
    ok(Test::Kiro::wait_for($soon, sub { $repairs < grep { $_->{why} eq 'repair_output' } $t->access }), 'the reason');

    $r = $a->{ask}->(scripted({ text => 'I cannot.' }), body => $format{$name});
    $s = $a->{object}->($r, "$name, not repaired");
    is($s->{text}, 'I cannot.', 'what there is, after a second try');
    is(attempts(), 2, 'two attempts');

    $r = $a->{ask}->(scripted({ text => '{"town":"Bergen"}' }, { status => 400, reason => 'CONTENT_LENGTH_EXCEEDS_THRESHOLD' }),
        body => $format{$name});
    $s = $a->{object}->($r, "$name, the repair fails");
    is($s->{text}, '{"town":"Bergen"}', 'the first answer after all');
    is(attempts(), 2, 'two attempts');

    $r = $a->{ask}->(scripted({ text => '{"town":"Oslo"}' }), stream => 1, body => $format{$name});
    $s = $a->{stream}->($r, "$name, streams are not repaired");
    is($s->{text}, '{"town":"Oslo"}', 'as it is');
    is(attempts(), 1, 'one attempt');
}

$t->done;
