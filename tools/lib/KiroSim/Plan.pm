package KiroSim::Plan;

# Which answer a request gets: plans by name, as JSON, by control upload; attempts counted by plan and conversation.

use v5.36;
use KiroSim::Json qw(decode_json decode_prefix is_number is_string);

# Field => what it must be.
my %FIELD = (
    map({ $_ => 'number' } qw(status retry_after_ms delay_ms first_ms gap_ms words bytes piece context_pct silence_ms silence_at
        chunk chunk_ms hold_at head_piece head_ms garbage repeat)),
    claim => 'integer',
    map({ $_ => 'string' } qw(type message raw_body text vector hold framing cut_mode result_text surplus)),
    map({ $_ => 'object' } qw(headers reasoning metadata exception error_frame corrupt rpc_error)),
    map({ $_ => 'objects' } qw(tools events results)),
    map({ $_ => 'any' } qw(reason html gzip interim twice stop_reason credits cut text_list no_tail no_metadata unknown_events empty hang close ascii
        is_error)),
);
my %FITS = (
    number  => sub ($v) { is_number($v) && $v >= 0 },
    integer => sub ($v) { is_number($v) },
    string  => \&is_string,
    object  => sub ($v) { ref $v eq 'HASH' },
    objects => sub ($v) { ref $v eq 'ARRAY' && !grep { ref ne 'HASH' } @$v },
    any     => sub ($v) { 1 },
);
my %CHOICE = (framing => [qw(chunked length close)], mode => [qw(fin rst hang end chunk)], gzip => [qw(1 cut bad)],
              where => [qw(prelude message length longest headers header)]);

sub _choice ($what, $value) {
    die "$what must be one of @{ $CHOICE{$what} }\n" if defined $value && !grep { $_ eq $value } @{ $CHOICE{$what} };
}

my %BUILTIN = (
    ok        => {},
    throttle  => { status => 429, reason => 'USER_REQUEST_RATE_EXCEEDED', retry_after_ms => 1000 },
    capacity  => { status => 429, reason => 'INSUFFICIENT_MODEL_CAPACITY',
                   message => 'I am experiencing high traffic, please try again shortly.' },
    quota     => { status => 402 },
    denied    => { status => 403, message => 'User is not authorized to make this call.' },
    suspended => { status => 403, reason => 'TEMPORARILY_SUSPENDED', message => 'Your account is temporarily suspended.' },
    overflow  => { status => 400, reason => 'CONTENT_LENGTH_EXCEEDS_THRESHOLD', message => 'Input is too long.' },
    html      => { status => 502, html => !!1 },
    drop      => { cut => 'request' },
    rst       => { cut => 'request', cut_mode => 'rst' },
    hang      => { hang => !!1 },
    mid       => { text => 'One two three four five six.', cut => { events => 3 } },
    midrst    => { text => 'One two three four five six.', cut => { events => 3, mode => 'rst' } },
    midhang   => { text => 'One two three four five six.', cut => { events => 3, mode => 'hang' } },
    inband    => { exception => { type => 'throttlingError', reason => 'USER_REQUEST_RATE_EXCEEDED', retry_after_ms => 1000,
                   message => 'Too many requests, please wait before trying again.', before => !!1 } },
    midexc    => { text => 'One two three four five six.', exception => { type => 'error', after_events => 3,
                   message => 'The model stream failed.', reason => 'MODEL_TEMPORARILY_UNAVAILABLE' } },
    errframe  => { text => 'One two three four five six.', error_frame => { code => 'InternalFailure',
                   message => 'unexpected', after_events => 3 } },
    crc       => { text => 'One two three four five six.', corrupt => { event => 2, where => 'message' } },
    prelude   => { text => 'One two three four five six.', corrupt => { event => 2, where => 'prelude' } },
    length    => { text => 'One two three four five six.', corrupt => { event => 2, where => 'length' } },
    garbage   => { text => 'One two three.', garbage => 40 },
    twice     => { text => 'One two three.', twice => !!1 },
    empty     => { empty => !!1 },
    blank     => { text => '' },
    page      => { status => 200, html => !!1 },
    redirect  => { status => 302, html => !!1, headers => { location => 'https://elsewhere.example/' } },
    headhang  => { cut => { bytes => 0, mode => 'hang' } },
    headcut   => { cut => { head => 30 } },
    badchunk  => { text => 'One two three four five six.', cut => { events => 3, mode => 'chunk' } },
    slowhead  => { head_piece => 7, head_ms => 5 },
    nometa    => { no_metadata => !!1 },
    notail    => { no_tail => !!1 },
    slow      => { gap_ms => 50 },
    silence   => { text => 'One two three four five six.', silence_ms => 3000, silence_at => 4 },
    bytewise  => { chunk => 1 },
    unknown   => { unknown_events => !!1 },
    tool      => { text => 'Let me look that up.', tools => [{ input => { city => 'Paris', days => 2 }, split => 3 }] },
    tools2    => { tools => [{ input => { city => 'Paris', days => 2 }, split => 3 }, { input => { city => 'Oslo' }, split => 2 }] },
    toolcut   => { tools => [{ input => { city => 'Paris' }, split => 2, no_stop => !!1 }] },
    badtool   => { tools => [{ input => '{"city":"Par', split => 2 }] },
    reasoning => { reasoning => { text => 'First I read the question. Then I answer it.' } },
    late      => { reasoning => { text => '...', late => !!1 } },
    big       => { bytes => 50_000_000, piece => 16_384, gap_ms => 0 },
);

sub new ($class) { bless { named => {}, default => undef, count => {} }, $class }

sub reset ($self) { %$self = (named => {}, default => undef, count => {}); }

# --- reading ----------------------------------------------------------------------------------------------------

sub _checked ($element) {
    die "a plan's element must be an object or a name\n" if ref $element ne 'HASH';
    for my $field (sort keys %$element) {
        my $type = $FIELD{$field} // die "unknown plan field '$field'\n";
        my $value = $element->{$field};
        if ($type eq 'number' && is_string($value) && $value =~ /\A[0-9]+(?:\.[0-9]+)?\z/) { $value = $element->{$field} = 0 + $value }
        die "plan field '$field' must be $type\n" if defined $value && !$FITS{$type}->($value);
    }
    my $cut = $element->{cut};
    die "cut must be \"request\" or an object with head, bytes, events or request\n"
        if defined $cut && (ref $cut eq 'HASH' ? !grep { exists $cut->{$_} } qw(head bytes events request) : $cut ne 'request');
    die "text_list must be a list of strings\n" if defined $element->{text_list}
        && (ref $element->{text_list} ne 'ARRAY' || grep { !is_string($_) } @{ $element->{text_list} });
    die "every event needs a type and a payload\n"
        if grep { !is_string($_->{type}) || !defined $_->{payload} } @{ $element->{events} // [] };
    my $credits = $element->{credits} // 0;
    die "credits must be a number or a list of numbers\n" if grep { !is_number($_) } ref $credits eq 'ARRAY' ? @$credits : $credits;
    _choice(framing => $element->{framing});
    _choice(gzip => $element->{gzip} || undef);
    _choice(where => $element->{corrupt}{where}) if $element->{corrupt};
    _choice(mode => $_) for $element->{cut_mode}, ref $cut ? $cut->{mode} : ();
    return $element;
}

# A name of the list, or of the uploaded plans, or an HTTP status, or words:N and bytes:N.
sub _by_name ($self, $name) {
    return @{ $self->{named}{$name}{plan} } if $self->{named}{$name};
    return $BUILTIN{$name} if $BUILTIN{$name};
    return { status => 0 + $name } if $name =~ /\A[345][0-9][0-9]\z|\A20[1-6]\z/;
    return { $1 => 0 + $2 } if $name =~ /\A(words|bytes|gap_ms|delay_ms|first_ms|chunk):([0-9]+)\z/;
    return {} if $name eq 'default';
    die "unknown plan '$name'\n";
}

# A list of elements out of decoded JSON: an object, a name, or an array of both; null means the default answer.
sub _elements ($self, $value) {
    my @out;
    for my $element (ref $value eq 'ARRAY' ? @$value : $value) {
        push @out, !defined $element ? {} : is_string($element) || is_number($element) ? $self->_by_name("$element") : _checked($element);
    }
    die "a plan must not be empty\n" if !@out;
    return \@out;
}

sub _from_text ($self, $text) {
    return $self->_elements(decode_json($text, lax => 1)) if $text =~ /\A\s*[\[{]/;
    return [map { $self->_by_name($_) } split /\s*,\s*/, $text =~ s/\A\s+|\s+\z//gr];
}

# The plan text inside [[sim:...]], or undef. JSON ends where it is balanced.
sub prompt_text ($content) {
    my $at = index $content, '[[sim:';
    return undef if $at < 0;
    $at += 6;
    if (substr($content, $at, 1) =~ /[\[{]/) {
        my (undef, $end) = eval { decode_prefix($content, $at, lax => 1) };
        die "the plan in the prompt is not JSON\n" if !defined $end || substr($content, $end, 2) ne ']]';
        return substr $content, $at, $end - $at;
    }
    my $end = index $content, ']]', $at;
    die "the plan in the prompt has no end\n" if $end < 0;
    return substr $content, $at, $end - $at;
}

sub strip_prompt ($content) {
    my $text = eval { prompt_text($content) };
    return $content if !defined $text;
    return $content =~ s/\Q[[sim:$text]]\E ?//r;
}

# --- control ----------------------------------------------------------------------------------------------------

# {name?, plan, count?}: without a name (or as "default") it serves every request that names no plan.
sub upload ($self, $spec) {
    die "plan is required\n" if !exists $spec->{plan};
    my $entry = { plan => $self->_elements($spec->{plan}), count => $spec->{count} };
    my $name = $spec->{name} // 'default';
    if ($name eq 'default' || $name eq '*') {
        $self->{default} = $entry;
        delete @{ $self->{count} }{ grep { /\Adefault\0/ } keys %{ $self->{count} } };
    }
    else {
        $self->{named}{$name} = $entry;
        delete @{ $self->{count} }{ grep { /\A\Q$name\E\0|[\0,\s"]\Q$name\E(?:[,\s"]|\z)/ } keys %{ $self->{count} } };
    }
    return scalar @{ $entry->{plan} };
}

sub remove ($self, $name) {
    return $self->reset if !defined $name;
    return $self->{default} = undef if $name eq 'default' || $name eq '*';
    return delete $self->{named}{$name};
}

# --- choosing ---------------------------------------------------------------------------------------------------

# (element, attempt, plan text) for a request; dies with a sentence on a bad plan.
# A plan is looked for in the header, then in each of the texts.
sub choose ($self, $header, $texts, $conversation) {
    my $text = $header;
    for (@$texts) { $text //= prompt_text($_) }
    my ($plan, $key);
    if (defined $text) {
        $plan = $self->_from_text($text);
        my $named = $self->{named}{$text};
        $key = $named && ($named->{count} // '') eq 'global' ? "$text\0" : "c\0$conversation\0$text";
    }
    elsif ($self->{default}) {
        $plan = $self->{default}{plan};
        $key = "default\0" . (($self->{default}{count} // '') eq 'conversation' ? $conversation : '');
    }
    else {
        $key = "none\0$conversation";
        $plan = [{}];
    }
    my $attempt = ++$self->{count}{$key};
    delete $self->{count}{ (keys %{ $self->{count} })[0] } if keys %{ $self->{count} } > 100_000;
    return ($plan->[ $attempt > @$plan ? -1 : $attempt - 1 ], $attempt, $text // ($self->{default} ? 'default' : undef));
}

1;
