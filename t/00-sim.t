#!/usr/bin/perl

# The simulator itself: its rules, tokens, plans and faults, seen by a client of its own.

use v5.36;
use Test::More;
use FindBin ();
use File::Temp ();
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::SSL ();
use Compress::Zlib ();
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Storable qw(dclone);
use Time::HiRes qw(time sleep);

my $json = JSON::PP->new->utf8->canonical;
my $dir  = File::Temp->newdir;

# --- the simulator's process ------------------------------------------------------------------------------------

my @running;

sub start_sim (@args) {
    my $ready = File::Temp->new(DIR => $dir, UNLINK => 0)->filename;
    unlink $ready;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', "$ready.out" or die $!;
        exec $^X, "$FindBin::Bin/../tools/kiro-sim", '--ready', $ready, @args or die "exec: $!";
    }
    push @running, $pid;
    for (1 .. 200) { last if -s $ready; sleep 0.05 }
    open my $fh, '<', $ready or die "the simulator did not start\n";
    return ($json->decode(join '', <$fh>), $pid);
}

END { local $?; kill TERM => @running if @running; waitpid $_, 0 for @running }

# --- a small client: HTTP/1.1 over plain or TLS sockets ---------------------------------------------------------

sub connect_to ($sim, %opt) {
    my $socket = $opt{tls}
        ? IO::Socket::SSL->new(PeerHost => '127.0.0.1', PeerPort => $sim->{tls_port}, SSL_ca_file => $sim->{ca}, SSL_hostname => $opt{name} // 'localhost',
            SSL_verifycn_name => $opt{name} // 'localhost', SSL_verifycn_scheme => 'http', Timeout => 10)
        : IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $sim->{port}, Timeout => 10);
    die 'connect: ' . ($opt{tls} ? $IO::Socket::SSL::SSL_ERROR : $@) if !$socket;
    binmode $socket;
    return $socket;
}

sub request_text ($method, $path, $headers, $body) {
    my %h = (host => 'localhost', 'content-length' => length $body, %$headers);
    return "$method $path HTTP/1.1\r\n" . join('', map { "$_: $h{$_}\r\n" } grep { defined $h{$_} } sort keys %h) . "\r\n$body";
}

# Reads until there are enough bytes, the peer is gone, or time is up; the reason stays in $why.
sub fill ($socket, $in, $why, $deadline) {
    if (!($socket->can('pending') && $socket->pending) && !IO::Select->new($socket)->can_read($deadline - time)) { $$why = 'timeout'; return 0 }
    my $count = sysread $socket, $$in, 65536, length $$in;
    return 1 if $count;
    $$why = defined $count ? 'eof' : $!{ECONNRESET} ? 'reset' : "$!";
    return 0;
}

# {status, headers, body, end: ok|eof|reset|timeout, chunks, times}
sub read_answer ($socket, $limit = 10) {
    my ($in, $why, $deadline) = ('', 'ok', time + $limit);
    my $answer = { status => 0, headers => {}, body => '', chunks => [], end => 'ok' };
    my $more = sub { fill($socket, \$in, \$why, $deadline) or do { $answer->{end} = $why; 0 } };
    while ($in !~ /\r\n\r\n/) { $more->() or return $answer }
    $in =~ s/\A(.*?)\r\n\r\n//s;
    my ($line, @lines) = split /\r\n/, $1;
    ($answer->{status}) = $line =~ /\AHTTP\/1\.1 ([0-9]{3}) /;
    $answer->{headers} = { map { /\A([^:]+): (.*)\z/ ? (lc $1, $2) : () } @lines };
    if (($answer->{headers}{'transfer-encoding'} // '') eq 'chunked') {
        while (1) {
            while ($in !~ /\A([0-9a-f]+)\r\n/) { $more->() or return $answer }
            $in =~ /\A([0-9a-f]+)\r\n/;
            my ($size, $start) = (hex $1, $+[0]);
            while (length $in < $start + $size + 2) { $more->() or return $answer }
            push @{ $answer->{chunks} }, [$size, time] if $size;
            $answer->{body} .= substr $in, $start, $size;
            substr($in, 0, $start + $size + 2) = '';
            return $answer if !$size;
        }
    }
    my $length = $answer->{headers}{'content-length'};
    while (!defined $length || length $in < $length) { $more->() or last }
    $answer->{end} = 'ok' if !defined $length && $answer->{end} eq 'eof';
    $answer->{body} = $in;
    return $answer;
}

sub call ($sim, $method, $path, $headers, $body, %opt) {
    my $socket = $opt{socket} // connect_to($sim, %opt);
    print $socket request_text($method, $path, $headers, $body);
    return read_answer($socket, $opt{limit} // 10);
}

sub control ($sim, $method, $path, $body = undef) {
    my $answer = call($sim, $method, "/_sim/$path", {}, defined $body ? $json->encode($body) : '');
    die "control $path: $answer->{status} $answer->{body}" if $answer->{status} != 200;
    return $json->decode($answer->{body});
}

# --- an own decoder of event streams, with an own checksum ------------------------------------------------------

my @crc = map { my $c = $_; $c = $c & 1 ? 0xedb88320 ^ $c >> 1 : $c >> 1 for 1 .. 8; $c } 0 .. 255;

sub crc32 ($bytes) {
    my $c = 0xffffffff;
    $c = $crc[($c ^ $_) & 255] ^ $c >> 8 for unpack 'C*', $bytes;
    return $c ^ 0xffffffff;
}

# ([{headers, json}...], what was wrong or left over)
sub decode ($bytes) {
    my @messages;
    while (length $bytes >= 12) {
        my ($total, $size, $check) = unpack 'NNN', $bytes;
        return (\@messages, 'prelude crc') if $check != crc32(substr $bytes, 0, 8);
        last if length $bytes < $total;
        return (\@messages, 'length') if $total < 16;
        return (\@messages, 'message crc') if unpack('N', substr $bytes, $total - 4, 4) != crc32(substr $bytes, 0, $total - 4);
        my $head = substr $bytes, 12, $size;
        my %headers;
        while (length $head) {
            my ($name, $type, $value) = unpack 'C/a* C n/a*', $head;
            return (\@messages, 'header type') if $type != 7;
            $headers{$name} = $value;
            substr($head, 0, 4 + length($name) + length $value) = '';
        }
        my $payload = substr $bytes, 12 + $size, $total - 16 - $size;
        push @messages, { headers => \%headers, json => length $payload ? $json->decode($payload) : undef };
        substr($bytes, 0, $total) = '';
    }
    return (\@messages, length $bytes ? 'left ' . length $bytes : '');
}

sub types ($messages) { join ' ', map { $_->{headers}{':event-type'} // "!$_->{headers}{':message-type'}" } @$messages }

sub text_of ($messages, $type = 'assistantResponseEvent', $member = 'content') {
    return join '', map { $_->{json}{$member} // '' } grep { ($_->{headers}{':event-type'} // '') eq $type } @$messages;
}

# --- requests ---------------------------------------------------------------------------------------------------

my ($sim, $pid) = start_sim('--dir', "$dir/sim", '--log', "$dir/sim.log", '--vectors', "$FindBin::Bin/../gtest/data/vectors");
my $conversation = 0;

sub slurp ($path) { open my $fh, '<:raw', $path or die "$path: $!"; local $/; return readline $fh }

my $social = $json->decode(slurp($sim->{credentials}));

sub body (%opt) {
    return {
        profileArn => $sim->{profile_arn},
        conversationState => {
            chatTriggerType => 'MANUAL', conversationId => 'conv-' . ++$conversation,
            currentMessage => { userInputMessage => { content => $opt{content} // 'hello there', modelId => $opt{model} // 'claude-sonnet-4.5',
                origin => $opt{origin} // 'AI_EDITOR', $opt{context} ? (userInputMessageContext => $opt{context}) : (), %{ $opt{user} // {} } } },
            $opt{history} ? (history => $opt{history}) : (),
        },
        %{ $opt{top} // {} },
    };
}

my %WIRE = (
    v3   => ['/', { 'x-amz-target' => 'KiroRuntimeService.GenerateAssistantResponse', 'content-type' => 'application/x-amz-json-1.0' }],
    v2   => ['/', { 'x-amz-target' => 'AmazonCodeWhispererStreamingService.GenerateAssistantResponse', 'content-type' => 'application/x-amz-json-1.0' }],
    rest => ['/generateAssistantResponse', { 'content-type' => 'application/json' }],
);

sub generate ($body, %opt) {
    my ($path, $headers) = @{ $WIRE{ $opt{wire} // 'v3' } };
    my %headers = (%$headers, authorization => 'Bearer ' . ($opt{token} // $social->{accessToken}), %{ $opt{headers} // {} });
    return call($opt{sim} // $sim, $opt{method} // 'POST', $opt{path} // $path, \%headers, ref $body ? $json->encode($body) : $body, %opt);
}

# One line that tells an answer's verdict.
sub verdict ($answer) {
    return $answer->{status} if $answer->{status} == 200;
    my $error = eval { $json->decode($answer->{body}) } // {};
    return join ' ', $answer->{status}, ($error->{__type} // '') =~ s/.*#//r, $error->{reason} // $error->{message} // '';
}

# --- plain answers ----------------------------------------------------------------------------------------------

{
    my $answer = generate(body(content => "Hello wide world"));
    is $answer->{status}, 200, 'a good request is answered';
    is $answer->{headers}{'content-type'}, 'application/vnd.amazon.eventstream', 'as an event stream';
    like $answer->{headers}{'x-amzn-requestid'}, qr/\A[0-9a-f-]{36}\z/, 'with a request id';
    my ($messages, $rest) = decode($answer->{body});
    is $rest, '', 'whose frames are whole and have right checksums';
    is text_of($messages), 'You said: Hello wide world', 'and echo the text';
    like types($messages), qr/(?:assistantResponseEvent ){5}metadataEvent contextUsageEvent meteringEvent\z/, 'word by word, with the tail';
    is +(grep { $_->{json}{stopReason} } @$messages)[0]{json}{stopReason}, 'END_TURN', 'and the stop reason';
}

is generate(body(), wire => 'rest')->{status}, 200, 'the REST form';
is generate(body(origin => 'KIRO_CLI'), wire => 'v2')->{status}, 200, 'the V2 form';
is text_of((decode(generate(body(content => 'secure'), tls => 1)->{body}))[0]), 'You said: secure', 'over TLS';
is generate(body(), tls => 1, name => 'runtime.us-east-1.kiro.dev')->{status}, 200, "over TLS under the service's own name";

{
    my $socket = connect_to($sim);
    my @answers = map { generate(body(), socket => $socket)->{status} } 1 .. 3;
    is "@answers", '200 200 200', 'three requests over one connection';
    my $bytes = $json->encode(body(content => 'in pieces'));
    my ($path, $headers) = @{ $WIRE{v3} };
    print $socket request_text('POST', $path, { %$headers, authorization => "Bearer $social->{accessToken}", 'content-length' => undef,
        'transfer-encoding' => 'chunked' }, '') . join '', map { sprintf "%x\r\n%s\r\n", length, $_ } $bytes =~ /.{1,40}/gs, '';
    is text_of((decode(read_answer($socket)->{body}))[0]), 'You said: in pieces', 'a chunked request';
}

# --- forms and tokens -------------------------------------------------------------------------------------------

my $key = $sim->{api_key};
my $keyless = body();
delete $keyless->{profileArn};
my $with = sub ($change) { my $body = body(); $change->($body); $body };

for my $case (
    ['REST content type with a target', 415, {}, headers => { 'content-type' => 'application/json' }],
    ['awsJson content type on the REST path', 415, {}, wire => 'rest', headers => { 'content-type' => 'application/x-amz-json-1.0' }],
    ['REST path with a target', 404, {}, path => '/generateAssistantResponse'],
    ['unknown target', 404, {}, headers => { 'x-amz-target' => 'KiroRuntimeService.Nothing' }],
    ['GET', 405, {}, method => 'GET', wire => 'rest'],
) {
    my ($name, $status, undef, %opt) = @$case;
    is generate(body(), %opt)->{status}, $status, "mixed form: $name";
}

my $bearer = '403 AccessDeniedException The bearer token included in the request is invalid.';
is verdict(generate(body(), token => 'aoaWRONG')), $bearer, 'an unknown token';
is verdict(generate(body(), headers => { authorization => undef })), $bearer, 'no token';
is verdict(generate($keyless, token => $key, headers => { tokentype => 'API_KEY' })), 200, 'an API key';
is verdict(generate($keyless, token => $key)), '403 AccessDeniedException Invalid token', 'an API key without TokenType';
is verdict(generate(body(), token => $key, headers => { tokentype => 'API_KEY' })), '400 ValidationException Invalid profileArn.', 'an API key with a profile';
is verdict(generate(body(), headers => { tokentype => 'SSO_OIDC' })), '403 AccessDeniedException Invalid token', 'an OAuth token with TokenType';
is verdict(generate($keyless)), '400 ValidationException profileArn is required for this request.', 'an OAuth token without a profile';
is verdict(generate(body(top => { profileArn => $sim->{oidc_profile_arn} }))), '403 AccessDeniedException User is not authorized to make this call.', 'a foreign profile';
is verdict(generate(body(), headers => { 'user-agent' => 'x AWS-Language-Servers-AWS-CodeWhisperer/1' })), '403 AccessDeniedException FEATURE_NOT_SUPPORTED', 'the gated agent';

# --- bodies: [name, reason or 200, body] ------------------------------------------------------------------------

my $tool = sub (%more) {
    return { toolSpecification => { name => 'get_weather', description => 'Weather.',
        inputSchema => { json => { type => 'object', properties => { city => { type => 'string' } }, required => ['city'] } }, %more } };
};
my $schema = sub ($json) { body(context => { tools => [$tool->(inputSchema => { json => $json })] }) };
my $user   = sub ($text, %more) { { userInputMessage => { content => $text, modelId => 'claude-sonnet-4.5', origin => 'AI_EDITOR', %more } } };
my $said   = sub ($text, @uses) { { assistantResponseMessage => { content => $text, @uses ? (toolUses => \@uses) : () } } };
my $use    = sub ($id, %more) { { toolUseId => $id, name => 'get_weather', input => { city => 'Oslo' }, %more } };
my $result = sub ($id, %more) { { toolUseId => $id, content => [{ text => '4 C' }], status => 'success', %more } };
my $round  = sub ($uses, $results, %more) {
    return body(content => '', history => [$user->('Weather?'), $said->('', @$uses)], context => { tools => [$tool->()], toolResults => $results }, %more);
};
my $image = sub ($format, $bytes) { body(user => { images => [{ format => $format, source => { bytes => $bytes } }] }) };
my $png = encode_base64("\x89PNG\r\n\x1a\n" . 'x' x 40, '');
my $deep = sub ($n) { my $v = 1; $v = [$v] for 1 .. $n; $v };
my $I = 'REQUEST_BODY_INVALID';

for my $case (
    ['no conversationState', $I, { profileArn => $sim->{profile_arn} }],
    ['conversationState of a wrong type', $I, body(top => { conversationState => 'x' })],
    ['systemPrompt', $I, body(top => { systemPrompt => 'x' })],
    ['an unknown member', 200, body(top => { kind => 'x' }, user => { reasoning => {} })],
    ['chatTriggerType AUTO', $I, $with->(sub ($b) { $b->{conversationState}{chatTriggerType} = 'AUTO' })],
    ['no chatTriggerType', $I, $with->(sub ($b) { delete $b->{conversationState}{chatTriggerType} })],
    ['agentTaskType', $I, $with->(sub ($b) { $b->{conversationState}{agentTaskType} = 'x' })],
    ['agentContinuationId without a UUID', $I, $with->(sub ($b) { $b->{conversationState}{agentContinuationId} = 'x' })],
    ['a bad conversation id', 'INVALID_CONVERSATION_ID', $with->(sub ($b) { $b->{conversationState}{conversationId} = 'a b' })],
    ['an assistant as current message', $I, $with->(sub ($b) { $b->{conversationState}{currentMessage} = $said->('x') })],
    ['two variants in a message', $I, $with->(sub ($b) { $b->{conversationState}{currentMessage}{assistantResponseMessage} = { content => 'x' } })],
    ['an unknown message variant', $I, body(history => [{ systemMessage => { content => 'x' } }, $said->('x')])],
    ['the wrong origin', $I, body(origin => 'KIRO_CLI')],
    ['blank content', $I, body(content => " \n")],
    ['content of a wrong type', $I, body(content => [])],
    ['content beyond 600000 characters', 'CONTENT_LENGTH_EXCEEDS_THRESHOLD', body(content => 'x' x 600_001)],
    ['a body of 1360000', 'CONTENT_LENGTH_EXCEEDS_THRESHOLD', body(content => 'x' x 599_000, history => [$user->('y' x 599_000), $said->('z' x 170_000)])],
    ['non-ASCII weighs eight', 'CONTENT_LENGTH_EXCEEDS_THRESHOLD', body(content => "\x{e9}" x 170_000)],
    ['an empty history', $I, body(history => [])],
    ['history beginning with the assistant', $I, body(history => [$said->('x')])],
    ['two user messages in a row', $I, body(history => [$user->('a')])],
    ['a good history', 200, body(history => [$user->('a'), $said->('b')])],
    ['an unknown model', 'INVALID_MODEL_ID', body(model => 'claude-sonnet-9')],
    ['operatingSystem darwin', $I, body(context => { envState => { operatingSystem => 'darwin' } })],
    ['operatingSystem linux', 200, body(context => { envState => { operatingSystem => 'linux', currentWorkingDirectory => '/' } })],
    ['a tool', 200, body(context => { tools => [$tool->()] })],
    ['a cachePoint among the tools', $I, body(context => { tools => [$tool->(), { cachePoint => { type => 'default' } }] })],
    ['a tool name with a dot', $I, body(context => { tools => [$tool->(name => 'a.b')] })],
    ['a tool name beginning with a digit', $I, body(context => { tools => [$tool->(name => '1a')] })],
    ['a tool name of 63', 200, body(context => { tools => [$tool->(name => 'a' x 63)] })],
    ['a tool name of 64', $I, body(context => { tools => [$tool->(name => 'a' x 64)] })],
    ['two tools of one name', 'TOOL_DUPLICATE', body(context => { tools => [$tool->(), $tool->()] })],
    ['an empty description', $I, body(context => { tools => [$tool->(description => '')] })],
    ['a tool without a schema', $I, body(context => { tools => [$tool->(inputSchema => undef)] })],
    ['a schema whose root is no object', 'TOOL_SCHEMA_INVALID', $schema->({ type => 'string' })],
    ['a union at the root', 'TOOL_SCHEMA_INVALID', $schema->({ type => 'object', anyOf => [{ type => 'object' }] })],
    ['a nested union', 200, $schema->({ type => 'object', properties => { a => { anyOf => [{ type => 'string' }, { type => 'null' }] } } })],
    ['required null', 'TOOL_SCHEMA_INVALID', $schema->({ type => 'object', required => undef })],
    ['required empty', 'TOOL_SCHEMA_INVALID', $schema->({ type => 'object', required => [] })],
    ['properties null', 'TOOL_SCHEMA_INVALID', $schema->({ type => 'object', properties => undef })],
    ['$schema', 'TOOL_SCHEMA_INVALID', $schema->({ type => 'object', '$schema' => 'x' })],
    ['a nested additionalProperties', 'TOOL_SCHEMA_INVALID',
        $schema->({ type => 'object', properties => { a => { type => 'object', additionalProperties => JSON::PP::false } } })],
    ['a property named like a keyword', 200, $schema->({ type => 'object', properties => { additionalProperties => { type => 'string' }, required => { type => 'string' } } })],
    ['tools in the history', $I, body(history => [$user->('a', userInputMessageContext => { tools => [$tool->()] }), $said->('b')], context => { tools => [$tool->()] })],
    ['a tool round trip', 200, $round->([$use->('t1')], [$result->('t1')])],
    ['two parallel results', 200, $round->([$use->('t1'), $use->('t2')], [$result->('t2'), $result->('t1')])],
    ['an unanswered tool use', 'TOOL_USE_RESULT_MISMATCH', $round->([$use->('t1'), $use->('t2')], [$result->('t1')])],
    ['an orphan result', 'TOOL_USE_RESULT_MISMATCH', body(context => { tools => [$tool->()], toolResults => [$result->('t1')] })],
    ['a result given twice', 'TOOL_USE_RESULT_MISMATCH', $round->([$use->('t1')], [$result->('t1'), $result->('t1')])],
    ['a tool use id used twice', 'TOOL_DUPLICATE', $round->([$use->('t1'), $use->('t1')], [$result->('t1'), $result->('t1')])],
    ['a tool use id with a bar', $I, $round->([$use->('a|b')], [$result->('a|b')])],
    ['a tool use id of 65', $I, $round->([$use->('a' x 65)], [$result->('a' x 65)])],
    ['tool input that is no object', $I, $round->([$use->('t1', input => '{}')], [$result->('t1')])],
    ['an undeclared tool in the history', $I, $round->([$use->('t1', name => 'other')], [$result->('t1')])],
    ['a declared tool in other letters', 200, $round->([$use->('t1', name => 'GET_weather')], [$result->('t1')])],
    ['tool traffic without tools', 'TOOL_CONFIG_MISSING', $round->([$use->('t1')], [$result->('t1')], context => { toolResults => [$result->('t1')] })],
    ['a wrong status', $I, $round->([$use->('t1')], [$result->('t1', status => 'failed')])],
    ['an empty result', $I, $round->([$use->('t1')], [$result->('t1', content => [])])],
    ['a blank result', $I, $round->([$use->('t1')], [$result->('t1', content => [{ text => ' ' }])])],
    ['a PNG image', 200, $image->(png => $png)],
    ['an image called jpg', 'IMAGE_FORMAT_UNSUPPORTED', $image->(jpg => $png)],
    ['a data URL', $I, $image->(png => "data:image/png;base64,$png")],
    ['base64 with a newline', $I, $image->(png => substr($png, 0, 8) . "\n" . substr $png, 8)],
    ['an image of another format', 'IMAGE_MIME_MISMATCH', $image->(jpeg => $png)],
    ['effort for a model without a schema', $I, body(top => { additionalModelRequestFields => { output_config => { effort => 'high' } } })],
    ['effort', 200, body(model => 'claude-opus-4.6', top => { additionalModelRequestFields => { output_config => { effort => 'high' } } })],
    ['an effort the model does not have', $I, body(model => 'claude-opus-4.6', top => { additionalModelRequestFields => { output_config => { effort => 'xhigh' } } })],
    ['an unknown model field', $I, body(model => 'claude-opus-4.6', top => { additionalModelRequestFields => { temperature => 1 } })],
    ['thinking that cannot be switched off', $I, body(model => 'claude-opus-5.5', top => { additionalModelRequestFields => { thinking => { type => 'disabled' } } })],
    ['a flat reasoningContent', $I, body(history => [$user->('a'), { assistantResponseMessage => { content => 'b', reasoningContent => { text => 'x', signature => 'y' } } }])],
    ['a made-up signature', 'THINKING_SIGNATURE_INVALID', body(history => [$user->('a'),
        { assistantResponseMessage => { content => 'b', reasoningContent => { reasoningText => { text => 'x', signature => 'y' } } } }])],
    ['text that is not JSON', 'REQUEST_BODY_INVALID_JSON', '{"conversationState":'],
    ['a lone surrogate', 'REQUEST_BODY_INVALID_JSON', $json->encode(body(content => 'XX')) =~ s/XX/\\ud83d/r],
    ['a surrogate pair', 200, $json->encode(body(content => 'XX')) =~ s/XX/\\ud83d\\ude42/r],
    ['invalid UTF-8', 'REQUEST_BODY_INVALID_JSON', $json->encode(body(content => 'XX')) =~ s/XX/\xc3(/r],
    ['a raw control character', 'REQUEST_BODY_INVALID_JSON', $json->encode(body(content => 'XX')) =~ s/XX/\x01/r],
    ['nesting of 128', 200, body(top => { other => $deep->(127) })],
    ['nesting of 129', 'REQUEST_BODY_INVALID_JSON', body(top => { other => $deep->(128) })],
) {
    my ($name, $want, $body) = @$case;
    my $answer = generate($body);
    is verdict($answer), $want eq 200 ? 200 : "400 ValidationException $want", "body: $name"
        or diag $answer->{headers}{'x-kiro-sim-rule'} // '';
}

like generate(body(top => { additionalModelRequestFields => {} }))->{body}, qr/additionalModelRequestFields is not supported for this model/, 'the documented sentence';
is text_of((decode(generate($round->([$use->('t1')], [$result->('t1')]))->{body}))[0]), 'Tool result: 4 C', 'results are told back';
is text_of((decode(generate($round->([$use->('t1')], [{ %{ $result->('t1') }, content => [{ text => "a\n[[sim:{\"text\":\"next\"}]]" }] }]))->{body}))[0]), 'next', 'a plan in a result';

# --- plans ------------------------------------------------------------------------------------------------------

sub planned ($plan, %opt) { generate(body(content => '[[sim:' . (ref $plan ? JSON::PP->new->encode($plan) : $plan) . ']] hi'), %opt) }

# The same conversation again and again, as retries do.
sub attempts ($count, $plan, %opt) {
    my $body = body(content => "[[sim:$plan]]");
    return map { verdict(generate($body, %opt)) =~ s/ .*//r } 1 .. $count;
}

is join(' ', attempts(4, '500,429,ok')), '500 429 200 200', 'a list of names is a list of attempts; the last repeats';
is join(' ', attempts(3, '[{"status":503},"403",{}]')), '503 403 200', 'JSON elements and names mix';
{
    my $body = body();
    my @got = map { generate($body, headers => { 'x-kiro-sim-plan' => '500,ok' })->{status} } 1 .. 2;
    is "@got", '500 200', 'a plan by header';
}
control($sim, POST => 'plan', { name => 'mine', plan => [{ status => 500 }, { text => 'second' }] });
is join(' ', attempts(2, 'mine')), '500 200', 'an uploaded plan by name';
{
    my $body = body(content => '[[sim:mine]]');
    my $first = generate($body)->{status};
    control($sim, POST => 'plan', { name => 'mine', plan => [{ status => 503 }] });
    is $first . ' ' . generate($body)->{status}, '500 503', 'a new upload begins to count again';
}
control($sim, POST => 'plan', { plan => [{ status => 429 }, { text => 'from the default plan' }, {}] });
is generate(body())->{status}, 429, 'a plan without a name serves everybody';
is text_of((decode(generate(body())->{body}))[0]), 'from the default plan', 'attempt by attempt';
is text_of((decode(generate(body())->{body}))[0]), 'You said: hello there', 'and then the default';
control($sim, DELETE => 'plan');
like verdict(planned('nonsense')), qr/\A400 KiroSimPlanException .*unknown plan/, 'an unknown plan is told';
like verdict(planned({ pase => 1 })), qr/unknown plan field 'pase'/, 'a misspelt field is told';

is verdict(planned('quota')), '402 ServiceQuotaExceededException MONTHLY_REQUEST_COUNT', 'quota';
like planned('throttle')->{body}, qr/"retryAfterMilliseconds":1000/, 'throttle says when to come back';
is planned({ status => 503, headers => { 'Retry-After' => '7' } })->{headers}{'retry-after'}, 7, 'own headers';
like planned('html')->{body}, qr/\A<!DOCTYPE html>/, 'HTML faults';
is planned({ status => 500, raw_body => '' })->{body}, '', 'an empty fault body';
{
    my $answer = planned({ status => 429, gzip => 1 });
    is $answer->{headers}{'content-encoding'}, 'gzip', 'a compressed fault';
    like Compress::Zlib::memGunzip($answer->{body}), qr/USER_REQUEST_RATE_EXCEEDED/, 'readable again';
    like planned({ status => 429, gzip => 'bad' })->{body}, qr/\A\{/, 'or not compressed at all';
    is planned('page')->{status} . ' ' . planned('page')->{headers}{'content-type'}, '200 text/html', 'a page with 200';
    is planned('redirect')->{headers}{location}, 'https://elsewhere.example/', 'a redirect';
    is planned({ status => 500, claim => 5, raw_body => 'abc' })->{headers}{'content-length'}, 8, 'a length that lies';
    is planned({ status => 500, claim => 5, raw_body => 'abc' })->{end}, 'eof', 'and the connection ends';
    my $socket = connect_to($sim);
    is +(generate(body(content => '[[sim:{"interim":[100,103]}]]'), socket => $socket))->{status}, 100, 'an interim answer';
}

sub decoded ($plan, %opt) { decode(planned($plan, %opt)->{body}) }

is text_of((decoded({ text_list => ['ha', 'ha', ''] }))[0]), 'haha', 'exact deltas';
is scalar(grep { /assistant/ } split / /, types((decoded({ text_list => ['ha', 'ha', ''] }))[0])), 3, 'as many as given';
{
    my ($messages) = decoded({ bytes => 1000, piece => 100 });
    is length text_of($messages), 1000, 'bytes of text';
    is types($messages) =~ s/assistantResponseEvent/x/gr, 'x ' x 10 . 'metadataEvent contextUsageEvent meteringEvent', 'in pieces';
    is text_of((decoded({ words => 5 }))[0]), 'word1 word2 word3 word4 word5', 'words';
}
is text_of((decoded({ text => "na\x{ef}ve \x{1F642}", piece => 1 }))[0]), "na\x{ef}ve \x{1F642}", 'no piece cuts a character';
is text_of((decoded({ text => "na\x{ef}ve \x{1F642}", ascii => 1 }))[0]), "na\x{ef}ve \x{1F642}", 'escaped characters';
{
    my $answer = planned('{"text_list":["\ud83d","\ude42"]}');
    like $answer->{body}, qr/"content":"\\ud83d".*"content":"\\ude42"/s, 'halves of a surrogate pair in two deltas';
}
{
    my ($messages) = decoded({ tools => [{ id => 'tooluse_1', name => 'f', input => { city => 'Paris', days => 2 }, split => 4 }] });
    my @events = grep { $_->{headers}{':event-type'} eq 'toolUseEvent' } @$messages;
    is scalar @events, 6, 'a tool call: start, fragments, stop';
    is text_of($messages, 'toolUseEvent', 'input'), '{"city":"Paris","days":2}', 'whose fragments make its input';
    ok $events[-1]{json}{stop} && !defined $events[0]{json}{input}, 'with a bare start and a stop';
    is +(grep { $_->{json}{stopReason} } @$messages)[0]{json}{stopReason}, 'TOOL_USE', 'and its stop reason';
    ($messages) = decoded({ tools => [{ name => 'f', input => { a => 1 }, object => JSON::PP::true }] });
    is_deeply $messages->[0]{json}{input}, { a => 1 }, 'input as an object';
    unlike types((decoded('toolcut'))[0]), qr/assistant/, 'no text beside tools unless asked for';
}
{
    my $body = body(content => '[[sim:reasoning]]', model => 'claude-opus-4.6');
    my ($messages) = decode(generate($body)->{body});
    like types($messages), qr/\A(?:reasoningContentEvent )+assistantResponseEvent/, 'reasoning comes first';
    my ($thought, $signature) = map { text_of($messages, 'reasoningContentEvent', $_) } qw(text signature);
    my $replay = sub (%change) {
        return generate(body(model => 'claude-opus-4.6', history => [$user->('a'), { assistantResponseMessage => { content => 'b',
            reasoningContent => { reasoningText => { text => $thought, signature => $signature, %change } } } }]));
    };
    is verdict($replay->()), 200, 'a replayed signature';
    is verdict($replay->(text => 'altered')), '400 ValidationException THINKING_SIGNATURE_INVALID', 'altered reasoning';
    like types((decoded('late'))[0]), qr/assistantResponseEvent reasoningContentEvent metadataEvent/, 'late reasoning';
}
like types((decoded('unknown'))[0]), qr/initial-response assistantResponseEvent someFutureEvent/, 'unknown events';
unlike types((decoded('nometa'))[0]), qr/metadata/, 'no metadata';
is types((decoded({ text => 'a', no_tail => JSON::PP::true }))[0]), 'assistantResponseEvent', 'no tail';
{
    my ($messages) = decoded('inband');
    is $messages->[0]{headers}{':exception-type'}, 'throttlingError', 'an exception before any content';
    is $messages->[0]{json}{retryAfterMilliseconds}, 1000, 'with its delay';
    is scalar @$messages, 1, 'and nothing after it';
    is types((decoded('midexc'))[0]), 'assistantResponseEvent ' x 3 . '!exception', 'an exception in mid-stream';
    is types((decoded({ text => 'a b', exception => { type => 'error' } }))[0]), 'assistantResponseEvent ' x 2 . '!exception', 'instead of the tail';
    is +(decoded({ exception => { type => 'validationError', before => 1, shape => 1 } }))[0][0]{headers}{':exception-type'}, 'ValidationException', 'by shape name';
    is types((decoded('errframe'))[0]), 'assistantResponseEvent ' x 3 . '!error', 'an error frame';
}
is +(decoded('crc'))[1], 'message crc', 'a corrupted message';
is +(decoded('prelude'))[1], 'prelude crc', 'a corrupted prelude';
is +(decoded('length'))[1], 'length', 'a length that cannot be';
is +(decoded({ corrupt => { event => 1, where => 'header' } }))[1], 'header type', 'a header of no known type in a sound message';
like verdict(planned({ corrupt => { where => 'nowhere' } })), qr/where must be one of/, 'a misspelt place is told';
is length((decoded('garbage'))[1]) > 0, 1, 'garbage behind the tail';
is types((decoded('twice'))[0]) =~ s/assistantResponseEvent /x/gr, 'xxxmetadataEvent contextUsageEvent meteringEvent xxxmetadataEvent contextUsageEvent meteringEvent', 'two answers in one';
is types((decoded('blank'))[0]), 'metadataEvent contextUsageEvent meteringEvent', 'a tail only';
{
    my ($messages) = decoded({ exception => { type => 'error', body_type => 'ThrottlingException', before => 1 } });
    is $messages->[0]{json}{__type} . ' ' . $messages->[0]{headers}{':exception-type'}, 'com.amazon.kiro.runtimeservice#ThrottlingException error', 'an exception with a type in its payload';
}
{
    my $answer = planned('empty');
    is "$answer->{status} $answer->{body} $answer->{end}", '200  ok', 'an empty answer';
    is planned({ vector => 's01_text.bin' })->{body}, slurp("$FindBin::Bin/../gtest/data/vectors/s01_text.bin"), 'a golden vector'
        if -f "$FindBin::Bin/../gtest/data/vectors/s01_text.bin";
}

# --- transport --------------------------------------------------------------------------------------------------

is planned('drop')->{end}, 'eof', 'dropped without an answer';
is planned('headcut')->{status} . planned('headcut')->{end}, '0eof', 'cut inside of the header';
is planned('headhang', limit => 0.3)->{status} . planned('headhang', limit => 0.3)->{end}, '200timeout', 'silent behind the header';
is planned('slowhead')->{end}, 'ok', 'a header in pieces';
is planned('badchunk', limit => 2)->{end}, 'eof', 'a chunk without a size';
is length(planned({ text => 'One', framing => 'length', claim => -5 })->{body}) > 100, 1, 'a short length';
is planned('rst')->{end}, 'reset', 'reset without an answer';
is planned('hang', limit => 0.3)->{end}, 'timeout', 'no answer at all';
{
    my $answer = planned('mid');
    is $answer->{end}, 'eof', 'cut after three events';
    is types((decode($answer->{body}))[0]), join(' ', ('assistantResponseEvent') x 3), 'which arrived';
    $answer = planned({ text => 'One two three', cut => { bytes => 200, mode => 'rst' } });
    is length($answer->{body}) . " $answer->{end}", '200 reset', 'reset at a byte';
    $answer = planned({ text => 'One two three', cut => { bytes => 0 } });
    is "$answer->{status} " . length($answer->{body}) . " $answer->{end}", '200 0 eof', 'cut at the first byte';
    $answer = planned({ text => 'One two three', cut => { bytes => 150, mode => 'hang' } }, limit => 0.3);
    is length($answer->{body}) . " $answer->{end}", '150 timeout', 'silent from a byte on';
    $answer = planned({ text => 'One two three', cut => { bytes => 150, mode => 'end' } });
    is length($answer->{body}) . " $answer->{end}", '150 ok', 'ended properly inside a frame';
    $answer = planned({ text => 'One two three', cut => { events => 2 } }, tls => 1);
    is types((decode($answer->{body}))[0]) . " $answer->{end}", 'assistantResponseEvent assistantResponseEvent eof', 'cut over TLS';
}
{
    my $answer = planned({ text => 'One two', framing => 'length' });
    is $answer->{headers}{'content-length'}, length $answer->{body}, 'framed by length';
    is +(decode($answer->{body}))[1], '', 'and whole';
    $answer = planned({ text => 'One two', framing => 'close' });
    ok !$answer->{headers}{'content-length'} && !$answer->{headers}{'transfer-encoding'}, 'framed by the end of the connection';
    is text_of((decode($answer->{body}))[0]), 'One two', 'and whole';
    $answer = planned({ text => 'One two', chunk => 1 });
    is scalar(grep { $_->[0] != 1 } @{ $answer->{chunks} }), 0, 'byte by byte';
    is text_of((decode($answer->{body}))[0]), 'One two', 'and whole';
}
{
    my $start = time;
    my $answer = planned({ text => 'a b c d e f g h i j', gap_ms => 30, no_tail => JSON::PP::true, first_ms => 100, delay_ms => 100 });
    my $chunks = $answer->{chunks};
    cmp_ok $chunks->[0][1] - $start, '>', 0.19, 'delays before the headers and the first event';
    cmp_ok $chunks->[-1][1] - $start, '>', 0.44, 'and a gap before each other one';
    $start = time;
    $answer = planned({ text => 'a b c', silence_ms => 300, silence_at => 3, gap_ms => 1 });
    cmp_ok $answer->{chunks}[2][1] - $start, '>', 0.28, 'silence before an event';
    my $t = time;
    is length text_of((decode(substr planned({ bytes => 200_000, piece => 4096, gap_ms => 0 })->{body}, 0))[0]), 200_000, 'a fast stream';
}
{
    my $big = planned('big', limit => 60);
    cmp_ok length $big->{body}, '>', 50_000_000, '50 MB';
    my $size = unpack 'N', $big->{body};
    ok $big->{body} =~ /\A(.{$size})\1{100}/s, 'of equal frames';
}

# --- holding, leaving, watching ---------------------------------------------------------------------------------

sub wait_for ($what) {
    my $deadline = time + 5;
    while (time < $deadline) { my $got = $what->(); return $got if $got; sleep 0.01 }
    return undef;
}
{
    my $socket = connect_to($sim);
    my ($path, $headers) = @{ $WIRE{v3} };
    my $send = sub ($body) { print $socket request_text('POST', $path, { %$headers, authorization => "Bearer $social->{accessToken}" }, $json->encode($body)) };
    $send->(body(content => '[[sim:{"hold":"gate"}]] held'));
    ok wait_for(sub { control($sim, GET => 'stats')->{held}{gate} }), 'a held request waits';
    is control($sim, POST => 'release', { name => 'gate' })->{released}, 1, 'is released';
    is text_of((decode(read_answer($socket)->{body}))[0]), 'You said: held', 'and answered';
    $send->(body(content => '[[sim:{"hold":"half","hold_at":2,"text":"One two three"}]]'));
    ok wait_for(sub { control($sim, GET => 'stats')->{held}{half} }), 'held in mid-stream';
    control($sim, POST => 'release', {});
    is text_of((decode(read_answer($socket)->{body}))[0]), 'One two three', 'and released';

    $send->(body(content => '[[sim:slow]] one two three four five six seven eight nine ten eleven twelve thirteen fourteen'));
    is wait_for(sub { control($sim, GET => 'stats')->{open_streams} }), 1, 'an open stream is counted';
    sleep 0.1;
    my $left = 1000 * time;
    close $socket;
    my $entry = wait_for(sub { my $e = control($sim, GET => 'log?op=generate')->[-1]; $e->{closed_by_client_at} && $e });
    ok $entry, 'a client that leaves is noticed';
    ok abs($entry->{closed_by_client_at} - $left) < 50, 'at once';
    is $entry->{end}, 'client_closed', 'and written down';
    is control($sim, GET => 'stats')->{open_streams}, 0, 'no stream is left open';
}
{
    my $n = control($sim, GET => 'log')->[-1]{n};
    generate(body(content => 'for the log'), headers => { 'x-test' => 'yes' });
    my $log = control($sim, GET => "log?since=$n");
    is scalar @$log, 1, 'the log since a number';
    my $entry = $log->[0];
    is $entry->{body}{conversationState}{currentMessage}{userInputMessage}{content}, 'for the log', 'holds the body';
    is "$entry->{headers}{'x-test'} $entry->{status} $entry->{op} $entry->{wire} $entry->{attempt}", 'yes 200 generate v3 1', 'and what became of it';
    cmp_ok $entry->{bytes_sent}, '>', 500, 'and the bytes sent';
    generate("\xff{");
    $entry = control($sim, GET => 'log')->[-1];
    is $entry->{raw}, "\x{ff}{", 'a body that is not JSON is kept raw';
    is $entry->{verdict}{rule}, 'json', 'with the rule that spoke';
    my @lines = split /\n/, slurp("$dir/sim.log");
    is $json->decode($lines[-1])->{verdict}{reason}, 'REQUEST_BODY_INVALID_JSON', 'the log file has it too';
}

# --- the auth host ----------------------------------------------------------------------------------------------

my $refresh = sub ($body, %opt) {
    my $type = $opt{type} // 'application/json';
    my $answer = call($sim, POST => $opt{path} // '/refreshToken', { 'content-type' => $type }, ref $body ? $json->encode($body) : $body, limit => $opt{limit} // 5);
    return { %$answer, json => eval { $json->decode($answer->{body}) } // {} };
};
{
    cmp_ok length $social->{refreshToken}, '>=', 120, 'a long refresh token';
    control($sim, POST => 'tokens', { expire => JSON::PP::true });
    is verdict(generate(body())), $bearer, 'an expired token is refused';
    my $new = $refresh->({ refreshToken => $social->{refreshToken} });
    is $new->{status}, 200, 'the social refresh';
    is "$new->{json}{expiresIn} $new->{json}{profileArn}", "3600 $sim->{profile_arn}", 'tells lifetime and profile';
    is verdict(generate(body(), token => $new->{json}{accessToken})), 200, 'and its token works';
    is $refresh->({ refreshToken => $social->{refreshToken} })->{json}{error}, 'invalid_grant', 'the old refresh token does not';
    $social = { %$social, %{ $new->{json} } };

    my $oidc = $json->decode(slurp($sim->{oidc}));
    my $client = $json->decode(slurp("$dir/sim/$oidc->{clientIdHash}.json"));
    my %ask = (%$client{qw(clientId clientSecret)}, refreshToken => $oidc->{refreshToken}, grantType => 'refresh_token');
    my $form = $refresh->('grant_type=refresh_token', path => '/token', type => 'application/x-www-form-urlencoded');
    is "$form->{status} $form->{json}{error}", '401 invalid_client', 'a form gets the misleading answer';
    is $refresh->({ client_id => 1, refresh_token => 2 }, path => '/token')->{json}{error}, 'invalid_client', 'so does snake_case';
    is $refresh->({ %ask, clientSecret => 'x' }, path => '/token')->{json}{error}, 'invalid_client', 'and a wrong secret';
    is $refresh->({ %ask, grantType => 'x' }, path => '/token')->{json}{error}, 'unsupported_grant_type', 'a wrong grant type';
    is $refresh->({ refreshToken => $oidc->{refreshToken} })->{json}{error}, 'invalid_grant', 'an OIDC token at the social host';
    my $got = $refresh->(\%ask, path => '/token');
    is "$got->{status} $got->{json}{tokenType}", '200 Bearer', 'the OIDC refresh';
    is verdict(generate(body(top => { profileArn => $sim->{oidc_profile_arn} }), token => $got->{json}{accessToken})), 200, 'and its token works';

    control($sim, POST => 'auth', { plan => [{ status => 500 }, { drop => 1 }, { html => 1, status => 403 }, { hang_ms => 200 }, { no_rotate => 1, ttl => 5 }] });
    my $again = sub (%opt) { $refresh->({ refreshToken => $social->{refreshToken} }, %opt) };
    is $again->()->{status}, 500, 'a scripted fault';
    is $again->()->{end}, 'eof', 'a dropped refresh';
    like $again->()->{body}, qr/<html>/, 'an HTML answer';
    is $again->()->{status}, 0, 'a refresh that hangs';
    my $kept = $again->();
    is "$kept->{status} $kept->{json}{expiresIn}", '200 5', 'then a good one with its own lifetime';
    ok !exists $kept->{json}{refreshToken}, 'without rotation';
    is $again->()->{status}, 200, 'so the old one serves again';
    my $stats = control($sim, GET => 'stats');
    is "$stats->{refresh} $stats->{refresh_ok} $stats->{invalid_grant}", '14 4 2', 'all of them counted';

    my $issued = control($sim, POST => 'tokens', { issue => 'social', ttl => 60 });
    is verdict(generate(body(), token => $issued->{credentials}{accessToken})), 200, 'a login issued on demand';
    ok -s $issued->{file}, 'with its file';
    control($sim, POST => 'tokens', { revoke_access => JSON::PP::true });
    is verdict(generate(body(), token => $issued->{credentials}{accessToken})), $bearer, 'and revoked';
    $social = control($sim, POST => 'tokens', { issue => 'social' })->{credentials};
}

# --- web search -------------------------------------------------------------------------------------------------

{
    my %way = (
        v3   => ['/', { 'x-amz-target' => 'KiroRuntimeService.InvokeMCP', 'content-type' => 'application/x-amz-json-1.0' }],
        v2   => ['/', { 'x-amz-target' => 'AmazonCodeWhispererStreamingService.InvokeMCP', 'content-type' => 'application/x-amz-json-1.0' }],
        rest => ['/mcp', { 'content-type' => 'application/json' }],
    );
    my $mcp = sub ($query, %more) {
        return { id => 'call-1', jsonrpc => '2.0', method => 'tools/call', profileArn => $sim->{profile_arn},
                 params => { name => 'web_search', arguments => { query => $query } }, %more };
    };
    my $search = sub ($body, %opt) {
        my ($path, $headers) = @{ $way{ $opt{wire} // 'v3' } };
        return call($sim, POST => $path, { %$headers, authorization => 'Bearer ' . ($opt{token} // $social->{accessToken}),
            %{ $opt{headers} // {} } }, ref $body ? $json->encode($body) : $body);
    };
    my $found = sub ($answer) { $json->decode($json->decode($answer->{body})->{result}{content}[0]{text}) };
    my $answer = $search->($mcp->('red fox'));
    is verdict($answer), 200, 'a search';
    is $json->decode($answer->{body})->{id}, 'call-1', 'is answered under its id';
    is $found->($answer)->{results}[1]{title}, 'Result 2 for red fox', 'with results';
    is verdict($search->($mcp->('red fox'), wire => $_)), 200, "the $_ form" for qw(v2 rest);
    is verdict($search->($mcp->('x', profileArn => undef))), '400 ValidationException profileArn is required for this request.', 'without a profile';
    is verdict($search->($mcp->('x', profileArn => undef), headers => { 'x-amzn-kiro-profile-arn' => $sim->{profile_arn} })),
        '400 ValidationException profileArn is required for this request.', 'with the profile in a header only';
    is verdict($search->($mcp->('x', profileArn => undef), token => $sim->{api_key}, headers => { tokentype => 'API_KEY' })), 200, 'an API key has none';
    is verdict($search->($mcp->('x'), token => $sim->{api_key}, headers => { tokentype => 'API_KEY' })), '400 ValidationException Invalid profileArn.', 'and may not send one';
    is verdict($search->($mcp->('x'), token => 'nobody')), $bearer, 'a wrong token';
    is verdict($search->($mcp->('x', $_->%*))), '400 ValidationException REQUEST_BODY_INVALID', 'bad: ' . $json->encode($_)
        for { jsonrpc => undef }, { jsonrpc => '1.0' }, { id => undef }, { id => [] }, { method => 'tools/run' }, { params => [] };
    is verdict($search->('{')), '400 ValidationException REQUEST_BODY_INVALID_JSON', 'not JSON';
    my $code = sub ($body) { $json->decode($search->($body)->{body})->{error}{code} };
    is $code->($mcp->('  ')), -32602, 'a blank query';
    is $code->($mcp->('x', params => { name => 'web_fetch', arguments => { query => 'x' } })), -32602, 'another tool';
    is_deeply $found->($search->($mcp->('[[sim:{"results":[]}]] nothing')))->{results}, [], 'a plan: no results';
    is $json->decode($search->($mcp->('[[sim:{"is_error":true}]] e'))->{body})->{result}{isError}, JSON::PP::true, 'a plan: the tool failed';
    is $code->($mcp->('[[sim:{"rpc_error":{"code":-32000,"message":"m"}}]] r')), -32000, 'a plan: an error object';
    is $json->decode($search->($mcp->('[[sim:{"result_text":"<oops>"}]] t'))->{body})->{result}{content}[0]{text}, '<oops>', 'a plan: any text';
    my $twice = $mcp->('[[sim:500,ok]] twice');
    is join(' ', map { $search->($twice)->{status} } 1, 2), '500 200', 'attempts are counted by query';
    my ($entry) = control($sim, GET => 'log?op=search')->@*;
    is "$entry->{wire} $entry->{status} $entry->{body}{params}{arguments}{query}", 'v3 200 red fox', 'the log';
    cmp_ok control($sim, GET => 'stats')->{search_ok}, '>', 5, 'the counters';
}

# --- the management host ----------------------------------------------------------------------------------------

{
    my $ask = sub ($op, $body, %opt) {
        return call($sim, POST => '/', { 'content-type' => 'application/x-amz-json-1.0', 'x-amz-target' => "KiroControlPlaneBearerService.$op",
            authorization => 'Bearer ' . ($opt{token} // $social->{accessToken}) }, $json->encode($body));
    };
    my $models = $json->decode($ask->(ListAvailableModels => { origin => 'AI_EDITOR', profileArn => $sim->{profile_arn} })->{body});
    my %by_id = map { $_->{modelId} => $_ } @{ $models->{models} };
    is $models->{defaultModel}{modelId}, 'auto', 'the models';
    is_deeply $by_id{'claude-opus-4.6'}{additionalModelRequestFieldsSchema}{properties}{output_config}{properties}{effort}{enum}, [qw(low medium high max)], 'with their schemas';
    ok !exists $by_id{'claude-sonnet-4.5'}{additionalModelRequestFieldsSchema}, 'where they have one';
    is $ask->(ListAvailableModels => {})->{status}, 400, 'the origin is required';
    is $json->decode($ask->(ListAvailableProfiles => {})->{body})->{profiles}[0]{arn}, $sim->{profile_arn}, 'the profiles';
    my $builder = control($sim, POST => 'tokens', { issue => 'builder' })->{credentials}{accessToken};
    is $ask->(ListAvailableProfiles => {}, token => $builder)->{status}, 403, 'none for a Builder ID';
    my %usage = (origin => 'KIRO_CLI', resourceType => 'CREDIT');
    my $usage = $json->decode($ask->(GetUsageLimits => { %usage, isEmailRequired => JSON::PP::false })->{body});
    is $usage->{usageBreakdownList}[0]{resourceType}, 'CREDIT', 'the usage';
    is $usage->{userInfo}{email}, undef, 'without an address';
    ok $json->decode($ask->(GetUsageLimits => { %usage, isEmailRequired => JSON::PP::true })->{body})->{userInfo}{email}, 'unless it is asked for';
    is $ask->(GetUsageLimits => {%usage}, token => 'x')->{status}, 400, 'a wrong token is a 400 here';
    is $ask->(GetUsageLimits => $_)->{status}, 400, 'a bad request for the usage'
        for {}, { origin => 'X' }, { %usage, resourceType => 'X' }, { %usage, isEmailRequired => 1 }, { %usage, more => 1 };
    my %with = (%usage, profileArn => $sim->{profile_arn});
    for my $case ([optional => 200, 200], [refused => 200, 400], [required => 400, 200]) {
        my ($mode, @want) = @$case;
        control($sim, POST => 'usage', { profile => $mode });
        is_deeply [map { $ask->(GetUsageLimits => $_)->{status} } \%usage, \%with], \@want, "a profileArn is $mode";
    }
    control($sim, POST => 'usage', { profile => 'optional', plan => [{ status => 500 }, { drop => JSON::PP::true }] });
    is $ask->(GetUsageLimits => {%usage})->{status}, 500, 'a fault';
    control($sim, POST => 'reset', {});
    is $ask->(GetUsageLimits => {%usage})->{status}, 200, 'which a reset ends';
}

# --- many at once -----------------------------------------------------------------------------------------------

{
    my $count = 200;
    control($sim, POST => 'reset');
    my ($path, $headers) = @{ $WIRE{v3} };
    my @sockets = map { connect_to($sim) } 1 .. $count;
    my $start = time;
    for my $socket (@sockets) {
        print $socket request_text('POST', $path, { %$headers, authorization => "Bearer $social->{accessToken}" },
            $json->encode(body(content => '[[sim:{"words":50,"gap_ms":10}]]')));
    }
    my @whole = grep { my $a = read_answer($_, 30); $a->{end} eq 'ok' && text_of((decode($a->{body}))[0]) =~ /word50\z/ } @sockets;
    is scalar @whole, $count, "$count paced streams at once (" . sprintf('%.1f s', time - $start) . ')';
    is control($sim, GET => 'stats')->{open_streams_max}, $count, 'were open together';
    is control($sim, GET => 'stats')->{connections_accepted}, $count, 'over as many connections, the control door not counted';
}

# --- the end ----------------------------------------------------------------------------------------------------

{
    my ($old, $old_pid) = start_sim('--dir', "$dir/old", '--expired', '--token-ttl', '120', '--tls-port', '-1');
    my $file = $json->decode(slurp($old->{credentials}));
    is verdict(generate(body(), sim => $old, token => $file->{accessToken})), $bearer, '--expired issues expired tokens';
    ok $file->{expiresAt} lt POSIX::strftime('%Y-%m-%dT%H:%M:%S', gmtime), 'and the file says so';
    is +((stat $old->{credentials})[2] & 0777), 0600, 'nobody else may read it';
    ok !exists $old->{tls_port}, 'a door may stay shut';
    my $idle = connect_to($old);
    my $start = time;
    kill TERM => $old_pid;
    waitpid $old_pid, 0;
    is $?, 0, 'it ends well';
    cmp_ok time - $start, '<', 0.5, 'and quickly';
    @running = grep { $_ != $old_pid } @running;
}

done_testing;
