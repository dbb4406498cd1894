package Test::Kiro::SSE;

# Server-sent events as strict clients read them, and the grammar of the
# dialects' streams. A checker returns { ..., faults => [sentences] }.

use strict;
use warnings;

use Encode   ();
use Exporter qw(import);
use JSON::PP ();

our @EXPORT_OK = qw(parse_sse check_openai check_anthropic check_responses
    check_openai_object check_anthropic_object check_responses_object);

my $json = JSON::PP->new->utf8->allow_nonref;

# A list of { event, data, comment, at (offset behind it) }; $faults gets what is
# against the framing rules.
sub parse_sse {
    my ($body, $faults) = @_;
    my @events;
    push @$faults, 'carriage return in the stream' if $body =~ /\r/;
    eval { Encode::decode('UTF-8', my $copy = $body, Encode::FB_CROAK); 1 }
        or push @$faults, 'the stream is not UTF-8';
    my $pos = 0;
    while ((my $end = index $body, "\n\n", $pos) >= 0) {
        my $block = substr $body, $pos, $end - $pos;
        $pos = $end + 2;
        my %e = (at => $pos);
        for my $line (split /\n/, $block) {
            if    ($line =~ /^: ?(.*)/s)      { $e{comment} = $1 }
            elsif ($line =~ /^event: (\S+)$/) { $e{event} = $1 }
            elsif ($line =~ /^data: (.*)/s) {
                push @$faults, 'two data lines in one event' if defined $e{data};
                $e{data} = $1;
            }
            else { push @$faults, "unknown line: $line" }
        }
        push @events, \%e;
    }
    push @$faults, 'bytes behind the last event: ' . substr($body, $pos, 80)
        if $pos < length $body;
    return @events;
}

sub _decode {
    my ($data, $faults) = @_;
    my $v = eval { $json->decode($data) };
    push @$faults, "not JSON: $data" unless defined $v;
    return $v;
}

# What Anthropic's own search gives: the block of its result, and the faults of that block.
sub _search_result {
    my ($b, $uses, $faults) = @_;
    push @$faults, 'a search result without its search'
        unless @$uses && ($b->{tool_use_id} // '') eq $uses->[-1]{id} && !$uses->[-1]{result};
    my $c = $b->{content};
    if (ref $c eq 'HASH') {
        push @$faults, 'a search error without its type'
            if ($c->{type} // '') ne 'web_search_tool_result_error' || !length($c->{error_code} // '');
    }
    elsif (ref $c eq 'ARRAY') {
        for my $hit (@$c) {
            push @$faults, 'a search result of another type' if ($hit->{type} // '') ne 'web_search_result';
            for (qw(title url)) { push @$faults, "a search result without $_" unless length($hit->{$_} // '') }
            push @$faults, 'a search result without encrypted_content' unless defined $hit->{encrypted_content};
            push @$faults, 'a search result without page_age' unless exists $hit->{page_age};
        }
    }
    else { push @$faults, 'a search result without content' }
    $uses->[-1]{result} = $c if @$uses;
    return;
}

sub _search_use {
    my ($b, $faults) = @_;
    push @$faults, "server_tool_use id $b->{id}" if ($b->{id} // '') !~ /^srvtoolu_[A-Za-z0-9_]+$/;
    push @$faults, 'server_tool_use name' if ($b->{name} // '') ne 'web_search';
    return;
}

sub _searches {
    my ($s, $faults) = @_;
    push @$faults, 'a search without its result' if grep { !$_->{result} } @{ $s->{searches} };
    push @$faults, 'usage.server_tool_use does not count the searches'
        if ($s->{usage}{server_tool_use}{web_search_requests} // 0) != @{ $s->{searches} };
    return;
}

# Calls that are passed on while they come (option "streamed_calls") may break off: $s->{cut} gets them, and the turn ends
# as if it had reached its length. True: the call is such a one.
sub _is_cut {
    my ($s, $o, $call, $value) = @_;
    return 0 if !$o->{streamed_calls} || ref $value eq 'HASH';
    push @{ $s->{cut} }, $call;
    return 1;
}

sub _cut_ends {
    my ($s, $stop, $faults) = @_;
    push @$faults, 'a cut call in an answer that ends with ' . ($stop // 'nothing')
        if @{ $s->{cut} // [] } && !$s->{error} && ($stop // '') !~ /^(?:length|max_tokens|incomplete)$/;
    return;
}

sub _is_int { return defined $_[0] && !ref $_[0] && $_[0] =~ /^\d+$/ }

# {text, reasoning, tools => [{id,name,arguments}], finish, usage, error, done, id, model, texts => [[at, text]], faults}
# Option "freeform": the function whose arguments are a text.
sub check_openai {
    my ($body, %o) = @_;
    my @faults;
    my %s = (text => '', reasoning => '', tools => [], texts => [], comments => 0, chunks => 0);
    my ($role, $same);
    for my $e (parse_sse($body, \@faults)) {
        push @faults, "event line in a chat stream: $e->{event}" if defined $e->{event};
        if (!defined $e->{data}) { $s{comments}++; next }
        push @faults, "something after [DONE]: $e->{data}" if $s{done};
        push @faults, "something after the error: $e->{data}" if $s{error};
        if ($e->{data} eq '[DONE]') { $s{done} = 1; next }
        my $c = _decode($e->{data}, \@faults) or next;
        if (ref $c->{error}) {
            for (qw(message type param code)) {
                push @faults, "error without $_" unless exists $c->{error}{$_};
            }
            $s{error} = $c->{error};
            next;
        }
        $s{chunks}++;
        push @faults, "object is not chat.completion.chunk" if ($c->{object} // '') ne 'chat.completion.chunk';
        push @faults, 'no integer created' unless _is_int($c->{created});
        my $envelope = join '|', map { $c->{$_} // '' } qw(id created model);
        $same //= $envelope;
        push @faults, "envelope changed: $envelope" if $envelope ne $same;
        @s{qw(id model)} = @$c{qw(id model)};
        if (ref $c->{choices} ne 'ARRAY') { push @faults, 'no choices'; next }
        if ($c->{usage}) {
            push @faults, 'usage twice' if $s{usage};
            $s{usage} = $c->{usage};
            my $u = $c->{usage};
            for (qw(prompt_tokens completion_tokens total_tokens)) {
                push @faults, "usage.$_ is not an integer" unless _is_int($u->{$_});
            }
            push @faults, 'total_tokens is not the sum'
                if ($u->{prompt_tokens} // 0) + ($u->{completion_tokens} // 0) != ($u->{total_tokens} // -1);
        }
        for my $choice (@{ $c->{choices} }) {
            push @faults, 'choice without index' unless _is_int($choice->{index});
            push @faults, 'a delta after finish_reason' if defined $s{finish};
            my $d = $choice->{delta};
            if (ref $d ne 'HASH') { push @faults, 'choice without delta'; next }
            if (exists $d->{role}) {
                push @faults, 'role twice'              if $role;
                push @faults, "role is $d->{role}"      if $d->{role} ne 'assistant';
                $role = 1;
            }
            elsif (!$role) { push @faults, 'the first delta has no role' }
            if (defined $d->{content}) {
                push @faults, 'content is no string' if ref $d->{content};
                $s{text} .= $d->{content};
                push @{ $s{texts} }, [ $e->{at}, $d->{content} ] if length $d->{content};
            }
            $s{reasoning} .= $d->{reasoning_content} // '';
            for my $t (@{ $d->{tool_calls} // [] }) {
                my $i = $t->{index};
                if (!_is_int($i)) { push @faults, 'tool delta without index'; next }
                my $have = $s{tools}[$i];
                if (!$have) {
                    push @faults, "tool index $i skips one" if $i != @{ $s{tools} };
                    push @faults, "tool $i without id"      unless length($t->{id} // '');
                    push @faults, "tool $i without type"    unless ($t->{type} // '') eq 'function';
                    push @faults, "tool $i without name"    unless length($t->{function}{name} // '');
                    $have = $s{tools}[$i] = { id => $t->{id}, name => $t->{function}{name}, arguments => '' };
                }
                else {
                    push @faults, "tool $i: id or name again" if exists $t->{id} || exists $t->{function}{name};
                    push @faults, "tool $i: not the last one" if $i != $#{ $s{tools} };
                }
                my $a = $t->{function}{arguments};
                push @faults, "tool $i: arguments is no string" if ref $a;
                $have->{arguments} .= $a // '';
            }
            $s{finish} = $choice->{finish_reason} if defined $choice->{finish_reason};
        }
    }
    for my $t (@{ $s{tools} }) {
        my $v = eval { $json->decode(Encode::encode('UTF-8', $t->{arguments})) };
        $t->{input} = $v;
        next if _is_cut(\%s, \%o, $t, $v);
        push @faults, "arguments of $t->{name} are no object: $t->{arguments}"
            unless ref $v eq 'HASH' || $s{error} || ($o{freeform} // '') eq $t->{name};
    }
    $s{tools} = [ grep { ref $_->{input} eq 'HASH' } @{ $s{tools} } ] if $s{cut};
    _cut_ends(\%s, $s{finish}, \@faults);
    unless ($s{error}) {
        push @faults, 'no finish_reason' unless defined $s{finish};
        push @faults, 'no [DONE]'        unless $s{done};
        push @faults, "finish_reason is $s{finish} with tools"
            if @{ $s{tools} } && ($s{finish} // '') !~ /^(?:tool_calls|length)$/;
    }
    push @faults, '[DONE] after an error' if $s{error} && $s{done};
    push @faults, 'usage was not asked for' if $s{usage} && exists $o{usage} && !$o{usage};
    push @faults, 'no usage chunk'          if !$s{usage} && $o{usage} && !$s{error};
    $s{faults} = \@faults;
    return \%s;
}

# {text, thinking, tools => [{id,name,input}], searches => [{id,input,result}], blocks as a client sends them back, stop, usage,
# error, pings, texts, faults}
sub check_anthropic {
    my ($body, %o) = @_;
    my @faults;
    my %s = (text => '', thinking => '', tools => [], searches => [], texts => [], pings => 0, comments => 0, blocks => []);
    my ($open, $started, $delta, $stopped);
    for my $e (parse_sse($body, \@faults)) {
        if (!defined $e->{data}) { $s{comments}++; next }
        my $d    = _decode($e->{data}, \@faults) or next;
        my $type = $d->{type} // '';
        push @faults, "event line and type differ: " . ($e->{event} // 'none') . " / $type"
            if ($e->{event} // '') ne $type;
        push @faults, "$type after the end" if $stopped || $s{error};
        if ($type eq 'ping') { $s{pings}++; next }
        if ($type eq 'error') {
            push @faults, 'error without type or message'
                unless length($d->{error}{type} // '') && length($d->{error}{message} // '');
            $s{error} = $d->{error};
            next;
        }
        if ($type eq 'message_start') {
            push @faults, 'message_start twice' if $started;
            $started = $d->{message};
            push @faults, 'message_start: content is not []'
                unless ref $started->{content} eq 'ARRAY' && !@{ $started->{content} };
            push @faults, 'message_start: role' if ($started->{role} // '') ne 'assistant';
            push @faults, 'message_start: type' if ($started->{type} // '') ne 'message';
            push @faults, 'message_start: no id' unless length($started->{id} // '');
            for (qw(input_tokens output_tokens)) {
                push @faults, "message_start: usage.$_" unless _is_int($started->{usage}{$_});
            }
            @s{qw(id model)} = @$started{qw(id model)};
            next;
        }
        push @faults, "$type before message_start" unless $started;
        if ($type eq 'content_block_start') {
            push @faults, 'a block is still open'  if defined $open;
            push @faults, 'a block after message_delta' if $delta;
            push @faults, 'block index ' . ($d->{index} // 'none') . ', expected ' . @{ $s{blocks} }
                if ($d->{index} // -1) != @{ $s{blocks} };
            $open = $d->{content_block};
            my $bt = $open->{type} // '';
            if ($bt eq 'text') {
                push @faults, 'text block does not start with ""' if ($open->{text} // 'x') ne '';
            }
            elsif ($bt eq 'thinking') {
                push @faults, 'thinking block does not start with ""' if ($open->{thinking} // 'x') ne '';
            }
            elsif ($bt eq 'web_search_tool_result') { _search_result($open, $s{searches}, \@faults) }
            elsif ($bt eq 'tool_use' || $bt eq 'server_tool_use') {
                _search_use($open, \@faults) if $bt eq 'server_tool_use';
                push @faults, 'tool_use without id'   unless length($open->{id}   // '');
                push @faults, 'tool_use without name' unless length($open->{name} // '');
                push @faults, 'tool_use input is not {}'
                    unless ref $open->{input} eq 'HASH' && !%{ $open->{input} };
                $open->{partial} = '';
            }
            elsif ($bt ne 'redacted_thinking') { push @faults, "unknown block type $bt" }
            push @{ $s{blocks} }, $open;
        }
        elsif ($type eq 'content_block_delta') {
            if (!defined $open) { push @faults, 'delta without a block'; next }
            push @faults, 'delta for another block' if ($d->{index} // -1) != $#{ $s{blocks} };
            my $x  = $d->{delta};
            my $dt = $x->{type} // '';
            my %belongs = (
                text_delta       => 'text',
                input_json_delta => $open->{type} eq 'server_tool_use' ? 'server_tool_use' : 'tool_use',
                thinking_delta   => 'thinking',
                signature_delta  => 'thinking',
            );
            push @faults, "$dt in a $open->{type} block" if ($belongs{$dt} // '') ne $open->{type};
            if ($dt eq 'text_delta') {
                $open->{text} .= $x->{text};
                $s{text}      .= $x->{text};
                push @{ $s{texts} }, [ $e->{at}, $x->{text} ];
            }
            elsif ($dt eq 'input_json_delta') { $open->{partial} .= $x->{partial_json} }
            elsif ($dt eq 'thinking_delta') {
                $open->{thinking} .= $x->{thinking};
                $s{thinking}      .= $x->{thinking};
            }
            elsif ($dt eq 'signature_delta') {
                push @faults, 'signature twice' if length($open->{signature} // '');
                $open->{signature} = $x->{signature};
            }
        }
        elsif ($type eq 'content_block_stop') {
            push @faults, 'stop without a block' unless defined $open;
            push @faults, 'stop of another block' if ($d->{index} // -1) != $#{ $s{blocks} };
            if (defined $open && $open->{type} =~ /^(?:server_)?tool_use$/) {
                my $p = $open->{partial} eq '' ? '{}' : $open->{partial};
                my $v = eval { $json->decode(Encode::encode('UTF-8', $p)) };
                my $cut = _is_cut(\%s, \%o, { id => $open->{id}, name => $open->{name}, arguments => $p }, $v);
                push @faults, "input of $open->{name} is no object: $p" unless $cut || ref $v eq 'HASH';
                push @{ $s{ $open->{type} eq 'tool_use' ? 'tools' : 'searches' } },
                    { id => $open->{id}, name => $open->{name}, input => $v } unless $cut;
                $open->{input} = $v;
                delete $open->{partial};
            }
            undef $open;
        }
        elsif ($type eq 'message_delta') {
            push @faults, 'message_delta while a block is open' if defined $open;
            push @faults, 'message_delta: usage.output_tokens' unless _is_int($d->{usage}{output_tokens});
            $delta = $d;
            $s{stop}  = $d->{delta}{stop_reason} if defined $d->{delta}{stop_reason};
            $s{usage} = { %{ $started->{usage} // {} }, %{ $d->{usage} // {} } };
        }
        elsif ($type eq 'message_stop') { $stopped = 1 }
        else                            { push @faults, "unknown event $type" }
    }
    _cut_ends(\%s, $s{stop}, \@faults);
    unless ($s{error}) {
        push @faults, 'no message_start' unless $started;
        push @faults, 'no message_stop'  unless $stopped;
        push @faults, 'no stop_reason'   unless defined $s{stop};
        push @faults, "stop_reason is $s{stop} with tools"
            if @{ $s{tools} } && ($s{stop} // '') !~ /^(?:tool_use|max_tokens)$/;
        _searches(\%s, \@faults);
    }
    $s{faults} = \@faults;
    return \%s;
}

# Of a finished item: notes what it brings.
sub _responses_item {
    my ($s, $i, $faults, $o) = @_;
    my $type = $i->{type} // '';
    push @$faults, 'item without id' unless length($i->{id} // '');
    push @{ $s->{items} }, $i;
    if ($type eq 'message') {
        push @$faults, 'message: role'    unless ($i->{role} // '') eq 'assistant';
        push @$faults, 'message: content' unless ref $i->{content} eq 'ARRAY' && @{ $i->{content} };
        for my $part (@{ $i->{content} // [] }) {
            push @$faults, 'part: type'        unless ($part->{type} // '') eq 'output_text';
            push @$faults, 'part: annotations' unless ref $part->{annotations} eq 'ARRAY';
            $s->{text} .= $part->{text} // '';
        }
    }
    elsif ($type eq 'reasoning') {
        push @$faults, 'reasoning: summary' unless ref $i->{summary} eq 'ARRAY';
        $s->{reasoning} .= $_->{text} for @{ $i->{summary} // [] };
    }
    elsif ($type eq 'function_call' || $type eq 'custom_tool_call') {
        my $key = $type eq 'function_call' ? 'arguments' : 'input';
        my $text = $i->{$key};
        my $whole = ($i->{status} // '') eq 'completed';
        my $may_be_cut = $o->{streamed_calls} && $type eq 'function_call' && ($i->{status} // '') eq 'incomplete';
        push @$faults, "$type: status" unless $whole || $may_be_cut;
        for (qw(call_id name)) { push @$faults, "$type: $_" unless length($i->{$_} // '') }
        push @$faults, "$type: $key is no string" if !defined $text || ref $text;
        my $v = $text;
        if (!$whole && $may_be_cut) {
            push @{ $s->{cut} }, { id => $i->{call_id}, name => $i->{name}, arguments => $text };
            return;
        }
        if ($type eq 'function_call') {
            $v = eval { $json->decode(Encode::encode('UTF-8', $text)) };
            push @$faults, "arguments are no object: $text" unless ref $v eq 'HASH';
        }
        push @{ $s->{tools} }, { id => $i->{call_id}, name => $i->{name}, namespace => $i->{namespace},
            type => $type, input => $v };
    }
    else { push @$faults, "unknown item $type" }
    return;
}

# What all response objects have.
sub _response {
    my ($o, $faults) = @_;
    if (ref $o ne 'HASH') { push @$faults, 'no response object'; return {} }
    push @$faults, 'object'     unless ($o->{object} // '') eq 'response';
    push @$faults, 'id'         unless ($o->{id}     // '') =~ /^resp_\w+$/;
    push @$faults, 'created_at' unless _is_int($o->{created_at});
    push @$faults, 'model'      unless length($o->{model} // '');
    for (qw(output tools)) { push @$faults, "$_ is no list" unless ref $o->{$_} eq 'ARRAY' }
    for (qw(error incomplete_details instructions metadata parallel_tool_calls reasoning text tool_choice usage)) {
        push @$faults, "no $_" unless exists $o->{$_};
    }
    my $u = $o->{usage};
    if (defined $u) {
        for (qw(input_tokens output_tokens total_tokens)) { push @$faults, "usage.$_" unless _is_int($u->{$_}) }
        push @$faults, 'total_tokens is not the sum'
            if ($u->{input_tokens} // 0) + ($u->{output_tokens} // 0) != ($u->{total_tokens} // -1);
    }
    return $o;
}

# {text, reasoning, tools => [{id,name,namespace,type,input}], items, status, why, usage, error, id, model, texts, response, faults}
sub check_responses {
    my ($body, %o) = @_;
    my @faults;
    my %s = (text => '', reasoning => '', tools => [], items => [], texts => [], comments => 0);
    my ($n, $open, %got, $end) = (0);
    my %stem = (
        message   => 'response.output_text',            function_call => 'response.function_call_arguments',
        reasoning => 'response.reasoning_summary_text', custom_tool_call => 'response.custom_tool_call_input',
    );
    my %part = (message => 'response.content_part', reasoning => 'response.reasoning_summary_part');
    my %whole = (message => 'text', reasoning => 'text', function_call => 'arguments', custom_tool_call => 'input');
    for my $e (parse_sse($body, \@faults)) {
        if (!defined $e->{data}) { $s{comments}++; next }
        my $d = _decode($e->{data}, \@faults) or next;
        my $type = $d->{type} // '';
        push @faults, "event line and type differ: " . ($e->{event} // 'none') . " / $type" if ($e->{event} // '') ne $type;
        push @faults, "$type after the end" if $end;
        push @faults, "sequence_number of $type" if ($d->{sequence_number} // -1) ne $n++;
        if ($type eq 'error') {
            push @faults, 'error without code or message' unless length($d->{code} // '') && length($d->{message} // '');
            push @faults, 'error without param' unless exists $d->{param};
            $s{error} = $end = $d;
        }
        elsif ($type =~ /^response\.(created|in_progress|completed|incomplete|failed)$/) {
            my $word = $1;
            my $o    = _response($d->{response}, \@faults);
            push @faults, "$type at $n"     if $word eq 'created' && $n != 1 || $word eq 'in_progress' && $n != 2;
            push @faults, "$type too early" if $word !~ /^(?:created|in_progress)$/ && $n < 3;
            push @faults, "$type: status " . ($o->{status} // '')
                if ($o->{status} // '') ne ($word eq 'created' ? 'in_progress' : $word);
            $s{id} //= $o->{id};
            push @faults, 'the id changes' if ($o->{id} // '') ne ($s{id} // '');
            if ($n <= 2) {
                push @faults, "$type: output" if @{ $o->{output} // [] };
                next;
            }
            push @faults, 'an item is open at the end' if $open;
            push @faults, 'output is not what was streamed'
                if $json->canonical->encode($o->{output} // []) ne $json->canonical->encode($s{items});
            push @faults, 'no usage' if $word ne 'failed' && !$o->{usage};
            @s{qw(response status model usage)} = ($o, @$o{qw(status model usage)});
            $s{why}   = $o->{incomplete_details}{reason} if $word eq 'incomplete';
            $s{error} = $o->{error}                      if $word eq 'failed';
            push @faults, 'failed without code or message'
                if $word eq 'failed' && !(length($o->{error}{code} // '') && length($o->{error}{message} // ''));
            $end = $o;
        }
        elsif ($n < 3) { push @faults, "$type before response.in_progress" }
        elsif (($d->{output_index} // -1) ne @{ $s{items} }) { push @faults, "$type: output_index" }
        elsif ($type eq 'response.output_item.added') {
            push @faults, 'two open items' if $open;
            $open = $d->{item} // {};
            my $t = $open->{type} // '';
            %got = (text => '');
            push @faults, "unknown item $t" unless $stem{$t};
            push @faults, 'added: content'  if $t eq 'message'   && @{ $open->{content} // [1] };
            push @faults, 'added: summary'  if $t eq 'reasoning' && @{ $open->{summary} // [1] };
            push @faults, "added: $whole{$t}" if $t =~ /call$/ && ($open->{ $whole{$t} } // 'x') ne '';
        }
        elsif (!$open) { push @faults, "$type without an item" }
        elsif ($type eq 'response.output_item.done') {
            my $i = $d->{item} // {};
            for (qw(id type call_id name)) {
                push @faults, "$_ of the item changes" if ($i->{$_} // '') ne ($open->{$_} // '');
            }
            my %one = (text => '', reasoning => '', tools => [], items => []);
            _responses_item(\%one, $i, \@faults, \%o);
            my $t = $i->{type} // '';
            my $seen = $t eq 'message' ? $one{text} : $t eq 'reasoning' ? $one{reasoning} : $i->{ $whole{$t} // '' };
            push @faults, "$t differs from its deltas" if ($seen // '') ne $got{text};
            push @faults, "$t: a part is open" if $part{$t} && ($got{added} // 0) != ($got{done} // 0);
            _responses_item(\%s, $i, [], \%o);
            undef $open;
        }
        elsif (($d->{item_id} // '') ne ($open->{id} // '')) { push @faults, "$type: item_id" }
        else {
            my $t = $open->{type} // '';
            my $index = { message => 'content_index', reasoning => 'summary_index' }->{$t};
            push @faults, "$type: $index" if $index && ($d->{$index} // -1) ne 0;
            if    ($part{$t} && $type eq "$part{$t}.added") { push @faults, 'two parts' if $got{added}++ }
            elsif ($part{$t} && $type eq "$part{$t}.done") {
                push @faults, "$type before its text" unless $got{whole};
                push @faults, "$type: text" if ($d->{part}{text} // '') ne $got{text};
                $got{done}++;
            }
            elsif ($type eq "$stem{$t}.delta") {
                push @faults, "$type outside of a part" if $got{whole} || $part{$t} && !$got{added};
                $got{text} .= $d->{delta};
                push @{ $s{texts} }, [ $e->{at}, $d->{delta} ] if $t eq 'message';
            }
            elsif ($type eq "$stem{$t}.done") {
                push @faults, "$type twice" if $got{whole}++;
                push @faults, "$type differs from its deltas" if ($d->{ $whole{$t} } // '') ne $got{text};
            }
            else { push @faults, "unknown event $type" }
        }
    }
    push @faults, 'no terminal event' unless $end;
    _cut_ends(\%s, $s{status}, \@faults);
    $s{faults} = \@faults;
    return \%s;
}

sub check_responses_object {
    my ($body) = @_;
    my @faults;
    my $o = _response(_decode($body, \@faults), \@faults);
    my %s = (text => '', reasoning => '', tools => [], items => [], faults => \@faults, response => $o,
        map({ $_ => $o->{$_} } qw(id model status usage)));
    push @faults, 'status' unless ($o->{status} // '') =~ /^(?:completed|incomplete)$/;
    push @faults, 'usage'  unless ref $o->{usage} eq 'HASH';
    push @faults, 'error'  if defined $o->{error};
    $s{why} = $o->{incomplete_details}{reason} if ref $o->{incomplete_details};
    _responses_item(\%s, $_, \@faults) for @{ $o->{output} // [] };
    return \%s;
}

sub check_openai_object {
    my ($body) = @_;
    my @faults;
    my $o = _decode($body, \@faults);
    return { faults => \@faults } unless ref $o eq 'HASH';
    push @faults, 'object' if ($o->{object} // '') ne 'chat.completion';
    push @faults, 'id'     unless length($o->{id} // '');
    push @faults, 'created' unless _is_int($o->{created});
    push @faults, 'usage'   unless ref $o->{usage} eq 'HASH' && _is_int($o->{usage}{total_tokens});
    my $c = $o->{choices}[0] // {};
    push @faults, 'choices'       unless ref $o->{choices} eq 'ARRAY' && @{ $o->{choices} } == 1;
    push @faults, 'finish_reason' unless defined $c->{finish_reason};
    push @faults, 'role'          unless ($c->{message}{role} // '') eq 'assistant';
    push @faults, 'content missing' unless exists $c->{message}{content};
    my @tools;
    for my $t (@{ $c->{message}{tool_calls} // [] }) {
        my $v = eval { $json->decode(Encode::encode('UTF-8', $t->{function}{arguments})) };
        push @faults, 'tool call without id, type or name'
            unless length($t->{id} // '') && ($t->{type} // '') eq 'function' && length($t->{function}{name} // '');
        push @faults, 'arguments are no object' unless ref $v eq 'HASH';
        push @tools, { id => $t->{id}, name => $t->{function}{name}, input => $v };
    }
    return {
        faults => \@faults, text => $c->{message}{content}, tools => \@tools, finish => $c->{finish_reason},
        usage => $o->{usage}, id => $o->{id}, model => $o->{model},
    };
}

sub check_anthropic_object {
    my ($body) = @_;
    my @faults;
    my $o = _decode($body, \@faults);
    return { faults => \@faults } unless ref $o eq 'HASH';
    push @faults, 'type' if ($o->{type} // '') ne 'message';
    push @faults, 'role' if ($o->{role} // '') ne 'assistant';
    push @faults, 'id'   unless length($o->{id} // '');
    push @faults, 'stop_reason' unless defined $o->{stop_reason};
    push @faults, 'stop_sequence missing' unless exists $o->{stop_sequence};
    for (qw(input_tokens output_tokens)) {
        push @faults, "usage.$_" unless _is_int($o->{usage}{$_});
    }
    push @faults, 'content' unless ref $o->{content} eq 'ARRAY';
    my ($text, $thinking, @tools, @searches) = ('', '');
    for my $b (@{ $o->{content} // [] }) {
        if ($b->{type} eq 'text') { $text .= $b->{text} }
        elsif ($b->{type} eq 'thinking') { $thinking .= $b->{thinking} }
        elsif ($b->{type} eq 'tool_use') {
            push @faults, 'tool_use without id or name' unless length($b->{id} // '') && length($b->{name} // '');
            push @faults, 'tool_use input is no object' unless ref $b->{input} eq 'HASH';
            push @tools, { id => $b->{id}, name => $b->{name}, input => $b->{input} };
        }
        elsif ($b->{type} eq 'server_tool_use') {
            _search_use($b, \@faults);
            push @searches, { id => $b->{id}, name => $b->{name}, input => $b->{input} };
        }
        elsif ($b->{type} eq 'web_search_tool_result') { _search_result($b, \@searches, \@faults) }
    }
    _searches({ searches => \@searches, usage => $o->{usage} }, \@faults);
    return {
        faults => \@faults, text => $text, thinking => $thinking, tools => \@tools, searches => \@searches, blocks => $o->{content}, stop => $o->{stop_reason},
        usage => $o->{usage}, id => $o->{id}, model => $o->{model},
    };
}

1;
