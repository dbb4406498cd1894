package KiroSim::Reply;

# Turns a plan element and a checked request into what goes over the wire: an error body, or a generator of events.

use v5.36;
use Compress::Zlib ();
use KiroSim::Frame ();
use KiroSim::Json qw(encode_json is_string is_number);
use KiroSim::Plan ();

# status => [type, message, reason]
my %FAULT = (
    400 => ['ValidationException',          'Improperly formed request.',                               'REQUEST_BODY_INVALID'],
    401 => ['AccessDeniedException',        'The bearer token included in the request is invalid.',     undef],
    402 => ['ServiceQuotaExceededException', 'You have reached the limit.',                             'MONTHLY_REQUEST_COUNT'],
    403 => ['AccessDeniedException',        'The bearer token included in the request is invalid.',     undef],
    404 => ['ResourceNotFoundException',    'Not found.',                                               undef],
    409 => ['ConflictException',            'Conflict.',                                                undef],
    423 => ['AccessDeniedException',        'Your account is locked.',                                  'TEMPORARILY_SUSPENDED'],
    429 => ['ThrottlingException',          'Too many requests, please wait before trying again.',      'USER_REQUEST_RATE_EXCEEDED'],
    500 => ['InternalServerException',      'Encountered an unexpected error when processing the request, please try again.', undef],
    503 => ['ServiceUnavailableException',  'The service is temporarily unavailable.',                  'MODEL_TEMPORARILY_UNAVAILABLE'],
);

my $NAMESPACE = 'com.amazon.kiro.runtimeservice#';
my $HTML = "<!DOCTYPE html>\n<html><head><title>ERROR: The request could not be satisfied</title></head>"
    . "<body><h1>%d ERROR</h1><p>The request could not be satisfied.</p></body></html>\n";

sub error_body ($f) {
    return encode_json({
        __type => $NAMESPACE . $f->{type}, message => $f->{message},
        defined $f->{reason} ? (reason => $f->{reason}) : (),
        defined $f->{retry_after_ms} ? (retryAfterMilliseconds => $f->{retry_after_ms}) : (),
    });
}

# (status, content type, body, error type) of a plan's HTTP fault.
sub fault ($plan) {
    my $status = $plan->{status} // 200;
    if ($plan->{html}) {
        return ($status, 'text/html', is_string($plan->{html}) ? $plan->{html} : sprintf($HTML, $status), undef);
    }
    return ($status, undef, $plan->{raw_body} x ($plan->{repeat} // 1), undef) if defined $plan->{raw_body};
    return ($status, undef, '', undef) if $status < 400 && $status != 200;
    my ($type, $message, $reason) = @{ $FAULT{$status} // $FAULT{ $status < 500 ? 400 : 500 } };
    my $f = { type => $plan->{type} // $type, message => $plan->{message} // $message,
              reason => exists $plan->{reason} ? $plan->{reason} : $reason, retry_after_ms => $plan->{retry_after_ms} };
    $f->{reason} = undef if $plan->{type} && !exists $plan->{reason};
    return ($status, undef, error_body($f), $f->{type});
}

# A body as a proxy compresses it: whole, cut, or not at all although it says so.
sub compressed ($body, $how) {
    return $body if $how eq 'bad';
    my $bytes = Compress::Zlib::memGzip($body);
    return $how eq 'cut' ? substr $bytes, 0, length($bytes) - 10 : $bytes;
}

sub is_fault ($plan) {
    return defined $plan->{raw_body} || $plan->{html} || defined $plan->{status} && $plan->{status} != 200;
}

# --- the script: a list of items that generators walk ----------------------------------------------------------

my $ECHO_LIMIT = 16_384;

# What the tool results of the current message say.
sub told ($r) {
    my @told;
    for my $result (@{ $r->{current}{userInputMessageContext}{toolResults} // [] }) {
        push @told, map { $_->{text} // (defined $_->{json} ? encode_json($_->{json}) : ()) } @{ $result->{content} };
    }
    return @told;
}

sub _echo ($r) {
    my @told = told($r);
    my $text = @told ? 'Tool result: ' . join "\n", @told
                     : 'You said: ' . KiroSim::Plan::strip_prompt($r->{current}{content});
    return $text if length $text <= $ECHO_LIMIT;
    $text = substr $text, 0, $ECHO_LIMIT;
    $text =~ s/[\xc0-\xff][\x80-\xbf]*\z//;
    return $text;
}

my $id = 0;
sub _tool_id { sprintf 'tooluse_sim%08x%06d', int rand 0xffffffff, ++$id }

# What a tool takes at least, for calls whose plan names no input that fits.
sub _sample ($schema, $depth = 0) {
    my $type = $schema->{type} // 'string';
    $type = (grep { $_ ne 'null' } @$type)[0] // 'string' if ref $type;
    return $schema->{enum}[0] if $schema->{enum};
    return {} if $depth > 5;
    return { map { ($_ => _sample($schema->{properties}{$_} // {}, $depth + 1)) } @{ $schema->{required} // [] } } if $type eq 'object';
    return [] if $type eq 'array';
    return 1 if $type eq 'integer' || $type eq 'number';
    return !!1 if $type eq 'boolean';
    return 'example';
}

# Name and input a call gets: get_weather when it may, else the first declared tool.
sub _complete_tool ($tool, $r) {
    return if defined $tool->{name};
    my ($first) = @{ $r->{tools} };
    if (!$first || grep { $_->{name} eq 'get_weather' } @{ $r->{tools} }) { $tool->{name} = 'get_weather'; return }
    $tool->{name} = $first->{name};
    $tool->{input} = _sample($first->{inputSchema}{json}) if ref $tool->{input};
}

# The piece of a text at an offset: so many bytes, and what the last character needs.
sub _piece_at ($text, $at, $size) {
    $size++ while $at + $size < length $$text && (ord(substr $$text, $at + $size, 1) & 0xc0) == 0x80;
    return substr $$text, $at, $size;
}

sub _pieces ($text, $count) {
    my $size = int((length($text) + $count - 1) / $count) || 1;
    my @pieces;
    for (my $at = 0; $at < length $text; $at += length $pieces[-1]) { push @pieces, _piece_at(\$text, $at, $size) }
    return @pieces;
}

sub _tool_items ($tool, $r, $ascii) {
    my %call = (%$tool);
    _complete_tool(\%call, $r);
    my %head = (name => $call{name}, toolUseId => $call{id} // _tool_id());
    my $event = sub (%more) { { frame => KiroSim::Frame::event('toolUseEvent', { %head, %more }, ascii => $ascii) } };
    return $event->(input => $call{input} // {}, stop => !!1) if $call{object};
    my @items = $event->();
    if (defined $call{input}) {
        my $text = ref $call{input} ? encode_json($call{input}, ascii => $ascii) : $call{input};
        push @items, map { $event->(input => $_) } _pieces($text, $call{split} // 1);
    }
    push @items, $event->(stop => !!1) if !$call{no_stop};
    return @items;
}

sub _reasoning_items ($reasoning, $plan, $r) {
    my @items;
    my $text = $reasoning->{text};
    push @items, { text => $text, event => 'reasoningContentEvent', member => 'text' } if defined $text && !$reasoning->{late};
    if (defined $reasoning->{redacted}) {
        push @items, { frame => KiroSim::Frame::event('reasoningContentEvent', { redactedContent => $reasoning->{redacted} }) };
    }
    my $signature = exists $reasoning->{signature} ? $reasoning->{signature} : defined $text ? 'EpSIM' . _tool_id() . '==' : undef;
    if (defined $signature) {
        my @parts = ref $signature ? @$signature : $signature;
        $r->{tokens}->sign($r->{login}, $text // '', join '', @parts);
        for my $part (@parts) {
            push @items, { frame => KiroSim::Frame::event('reasoningContentEvent',
                { signature => $part, $reasoning->{late} && defined $text ? (text => $text) : () }) };
        }
    }
    return @items;
}

sub _tail_items ($plan, $r, $size) {
    my @items;
    my $stop = exists $plan->{stop_reason} ? $plan->{stop_reason} : $plan->{tools} ? 'TOOL_USE' : 'END_TURN';
    my $percent = $plan->{context_pct} // sprintf '%.4f', 0.01 + 25 * (length($r->{text}) + $size) / $r->{model}{window};
    my $credits = $plan->{credits} // 0.01 * $r->{model}{rate};
    push @items, ['metadataEvent', { defined $stop ? (stopReason => $stop) : (), %{ $plan->{metadata} // {} } }] if !$plan->{no_metadata};
    push @items, ['contextUsageEvent', { contextUsagePercentage => 0 + $percent }];
    push @items, ['meteringEvent', { unit => 'credit', unitPlural => 'credits', usage => 0 + $_ }] for ref $credits ? @$credits : $credits;
    return map { { frame => KiroSim::Frame::event(@$_) } } @items;
}

my %MEMBER = (InternalServerException => 'error', ThrottlingException => 'throttlingError', ValidationException => 'validationError',
              ServiceUnavailableException => 'serviceUnavailableError');
my %SHAPE = reverse %MEMBER;

sub _exception_frame ($x) {
    my $type = $x->{type} // 'error';
    $type = $x->{shape} ? $SHAPE{$type} // $type : $MEMBER{$type} // $type;
    return KiroSim::Frame::exception($type, {
        defined $x->{body_type} ? (__type => $NAMESPACE . $x->{body_type}) : (),
        message => $x->{message} // 'simulated failure', defined $x->{reason} ? (reason => $x->{reason}) : (),
        defined $x->{retry_after_ms} ? (retryAfterMilliseconds => $x->{retry_after_ms}) : (),
    });
}

# The whole answer as items; random ids are settled here, so that it can be walked twice.
sub script ($plan, $r) {
    return [] if $plan->{empty};
    my $ascii = $plan->{ascii} ? 1 : 0;
    my @items;
    my $size = 0;
    my $reasoning = $plan->{reasoning};
    push @items, _reasoning_items($reasoning, $plan, $r) if $reasoning && !$reasoning->{late};
    if ($plan->{text_list}) {
        push @items, map { { frame => KiroSim::Frame::text_event('assistantResponseEvent', 'content', $_, $ascii) } }
            @{ $plan->{text_list} };
        $size += length for @{ $plan->{text_list} };
    }
    elsif ($plan->{words} || $plan->{bytes}) {
        push @items, { words => $plan->{words}, bytes => $plan->{bytes} };
        $size += $plan->{bytes} // 8 * $plan->{words};
    }
    else {
        my $text = $plan->{text} // ($plan->{tools} || $plan->{events} ? '' : _echo($r));
        push @items, { text => $text, event => 'assistantResponseEvent', member => 'content' } if $text ne '';
        $size += length $text;
    }
    push @items, map { _tool_items($_, $r, $ascii) } @{ $plan->{tools} // [] };
    push @items, map { { frame => KiroSim::Frame::event($_->{type}, $_->{payload}, ascii => $ascii) } } @{ $plan->{events} // [] };
    push @items, _reasoning_items($reasoning, $plan, $r) if $reasoning && $reasoning->{late};
    push @items, _tail_items($plan, $r, $size) if !$plan->{no_tail};
    return \@items;
}

# --- generators: each call gives the next whole frame, or undef at the end -------------------------------------

my $LINE = join '', 0 .. 9, 'a' .. 'z', 'A' .. 'Z', "-\n";    # 64 bytes, the text of bytes:N

sub _text_walker ($item, $piece, $ascii) {
    my ($text, $event, $member) = @$item{qw(text event member)};
    my $at = 0;
    pos($text) = 0;
    return sub {
        return $text =~ /\G(\s*\S+|\s+)/gc ? KiroSim::Frame::text_event($event, $member, $1, $ascii) : undef if !$piece;
        return undef if $at >= length $text;
        my $part = _piece_at(\$text, $at, $piece);
        $at += length $part;
        return KiroSim::Frame::text_event($event, $member, $part, $ascii);
    };
}

sub _words_walker ($count, $piece, $ascii) {
    my $n = 0;
    return sub {
        return undef if $n >= $count;
        my $word = $n++ ? " word$n" : 'word1';
        return KiroSim::Frame::text_event('assistantResponseEvent', 'content', $word, $ascii);
    };
}

sub _bytes_walker ($count, $piece, $ascii) {
    $piece ||= 64;
    my $at = 0;
    my $line = $LINE x (2 + int $piece / 64);
    return sub {
        my $left = $count - $at;
        return undef if $left <= 0;
        my $size = $left < $piece ? $left : $piece;
        my $text = substr $line, $at % 64, $size;
        $at += $size;
        return KiroSim::Frame::text_event('assistantResponseEvent', 'content', $text, $ascii);
    };
}

sub _walk ($items, $plan) {
    my ($i, $inner) = (0, undef);
    my ($piece, $ascii) = ($plan->{piece}, $plan->{ascii} ? 1 : 0);
    return sub {
        while (1) {
            if ($inner) {
                my $frame = $inner->();
                return $frame if defined $frame;
                $inner = undef;
            }
            my $item = $items->[$i++] // return undef;
            return $item->{frame} if defined $item->{frame};
            $inner = defined $item->{text} ? _text_walker($item, $piece, $ascii)
                : $item->{words}           ? _words_walker($item->{words}, $piece, $ascii)
                :                            _bytes_walker($item->{bytes}, $piece, $ascii);
        }
    };
}

my @STRANGERS = (
    ['initial-response', {}], ['someFutureEvent', { answer => 42 }], ['followupPromptEvent', { followupPrompt => { content => 'More?' } }],
    ['codeReferenceEvent', { references => [] }], ['messageMetadataEvent', { conversationId => 'sim', utteranceId => 'u-1' }],
);

sub _with_strangers ($next) {
    my ($n, $held) = (0, undef);
    return sub {
        if (defined $held) { my $frame = $held; $held = undef; return $frame }
        $held = $next->();
        return undef if !defined $held;
        return KiroSim::Frame::event(@{ $STRANGERS[ $n++ % @STRANGERS ] });
    };
}

sub _with_fatal_frame ($next, $spec, $frame) {
    my $after = $spec->{before} ? 0 : $spec->{after_events};
    my ($n, $done) = (0, 0);
    return sub {
        return undef if $done;
        if (!defined $after || $n < $after) {
            my $next_frame = $next->();
            if (defined $next_frame) { $n++; return $next_frame }
        }
        $done = 1;
        return $frame;
    };
}

sub _with_corruption ($next, $spec) {
    my $n = 0;
    return sub {
        my $frame = $next->() // return undef;
        return ++$n == ($spec->{event} // 1) ? KiroSim::Frame::corrupt($frame, $spec->{where} // 'message') : $frame;
    };
}

sub _with_garbage ($next, $size) {
    my $left = 1;
    return sub {
        return $next->() // ($left-- > 0 ? 'x' x $size : undef);
    };
}

# A generator of the frames of an answer; vectors are given as one blob.
sub frames ($items, $plan, $blob = undef) {
    if (defined $blob) {
        my $given = 0;
        return sub { $given++ ? undef : $blob };
    }
    # An exception without a place comes after the content and before the tail.
    my $fatal = $plan->{exception} // $plan->{error_frame};
    my $list = $items;
    if ($fatal && !$fatal->{before} && !defined $fatal->{after_events} && !$plan->{no_tail} && !$plan->{empty}) {
        my $tail = ($plan->{no_metadata} ? 0 : 1) + 1 + (ref $plan->{credits} ? @{ $plan->{credits} } : 1);
        $list = [@$items[0 .. $#$items - $tail]];
    }
    $list = [@$list, @$list] if $plan->{twice};
    my $next = _walk($list, $plan);
    $next = _with_strangers($next) if $plan->{unknown_events};
    $next = _with_fatal_frame($next, $plan->{exception}, _exception_frame($plan->{exception})) if $plan->{exception};
    $next = _with_fatal_frame($next, $plan->{error_frame},
        KiroSim::Frame::error_message($plan->{error_frame}{code} // 'InternalFailure', $plan->{error_frame}{message} // 'unexpected'))
        if $plan->{error_frame};
    $next = _with_corruption($next, $plan->{corrupt}) if $plan->{corrupt};
    $next = _with_garbage($next, $plan->{garbage}) if $plan->{garbage};
    return $next;
}

1;
