package KiroSim::Validate;

# The rules for a GenerateAssistantResponse body. A shape table tells members and types; then one function a rule.
# check() returns undef, or a failure {status, type, reason, message, rule, detail}.

use v5.36;
use MIME::Base64 ();
use KiroSim::Json qw(decode_json is_string is_number is_int is_bool);
use KiroSim::Models ();

our $MAX_WEIGHT       = 1_360_000;    # from this weight on the body is refused
our $MAX_CONTENT      = 600_000;      # characters of a user message
our $MAX_TOOL_RESULT  = 800_000;
our $MAX_HISTORY      = 10_000;
our $MAX_IMAGES       = 20;
our $MAX_IMAGE_BYTES  = 10 << 20;

# --- shapes -----------------------------------------------------------------------------------------------------
# A shape: a type name, [list => shape], [enum => values...], [union => {variant => shape}] or {member => shape};
# a member's name with '!' must be there.

my %SHAPE;
%SHAPE = (
    request => {
        'conversationState!' => \'conversationState', profileArn => 'string', agentMode => 'string',
        additionalModelRequestFields => 'object',
    },
    conversationState => {
        'chatTriggerType!' => [enum => qw(MANUAL DIAGNOSTIC INLINE_CHAT)], conversationId => 'string',
        rootConversationId => 'string', agentContinuationId => 'string', agentTaskType => [enum => qw(vibe spectask)],
        'currentMessage!' => \'message', history => [list => \'message'],
    },
    message => [union => { userInputMessage => \'user', assistantResponseMessage => \'assistant' }],
    user => {
        'content!' => 'string', modelId => 'string', origin => 'string', images => [list => \'image'],
        documents => [list => \'document'], userInputMessageContext => \'context',
    },
    assistant => {
        'content!' => 'string', messageId => 'string', toolUses => [list => \'toolUse'],
        reasoningContent => [union => { reasoningText => { 'text!' => 'string', signature => 'string' }, redactedContent => 'string' }],
    },
    context => {
        tools => [list => [union => { toolSpecification => \'tool' }]], toolResults => [list => \'toolResult'],
        envState => \'envState', editorState => 'object',
        additionalContext => [list => { name => 'string', description => 'string', innerContext => 'string' }],
    },
    envState => {
        operatingSystem => [enum => qw(linux macos windows)], currentWorkingDirectory => 'string',
        environmentVariables => [list => { key => 'string', value => 'string' }], timezoneOffset => 'int',
    },
    tool => { 'name!' => 'string', 'description!' => 'string', 'inputSchema!' => [union => { json => 'object' }] },
    toolUse => { 'toolUseId!' => 'string', 'name!' => 'string', 'input!' => 'object' },
    toolResult => {
        'toolUseId!' => 'string', 'content!' => [list => [union => { text => 'string', json => 'any', image => 'object' }]],
        status => [enum => qw(success error)],
    },
    image    => { 'format!' => 'string', 'source!' => [union => { bytes => 'string' }] },
    document => { 'format!' => 'string', 'name!' => 'string', 'source!' => [union => { bytes => 'string' }] },
);

my %TYPE = (
    any    => sub ($v) { defined $v },
    string => \&is_string, int => \&is_int, number => \&is_number, bool => \&is_bool,
    object => sub ($v) { ref $v eq 'HASH' },
);

# The path of the first value that does not fit, with the reason; undef when all fits. Unknown members are skipped.
sub _misfit ($value, $shape, $path) {
    my $kind = ref $shape;
    return _misfit($value, $SHAPE{$$shape}, $path) if $kind eq 'SCALAR' || $kind eq 'REF';
    if ($kind eq '') {
        return $TYPE{$shape}->($value) ? undef : "$path: must be $shape";
    }
    if ($kind eq 'HASH') {
        return "$path: must be an object" if ref $value ne 'HASH';
        for my $member (sort keys %$shape) {
            my $needed = (my $name = $member) =~ s/!$//;
            my $inner = $value->{$name};
            if (!defined $inner) {
                return "$path.$name: is required" if $needed;
                next;
            }
            my $error = _misfit($inner, $shape->{$member}, "$path.$name");
            return $error if $error;
        }
        return undef;
    }
    my ($form, @rest) = @$shape;
    if ($form eq 'list') {
        return "$path: must be a list" if ref $value ne 'ARRAY';
        for my $i (0 .. $#$value) {
            my $error = _misfit($value->[$i], $rest[0], "$path\[$i]");
            return $error if $error;
        }
        return undef;
    }
    if ($form eq 'enum') {
        return is_string($value) && (grep { $_ eq $value } @rest) ? undef : "$path: must be one of @rest";
    }
    return "$path: must be an object" if ref $value ne 'HASH';
    my @set = grep { defined $value->{$_} } sort keys %$value;
    return "$path: exactly one variant must be set" if @set != 1;
    my $variant = $rest[0]{ $set[0] } or return "$path: unknown variant $set[0]";
    return _misfit($value->{ $set[0] }, $variant, "$path.$set[0]");
}

# --- failures ---------------------------------------------------------------------------------------------------

my %MESSAGE = (
    REQUEST_BODY_INVALID             => 'Improperly formed request.',
    REQUEST_BODY_INVALID_JSON        => 'The request body is not valid JSON.',
    CONTENT_LENGTH_EXCEEDS_THRESHOLD => 'Input is too long.',
    INVALID_MODEL_ID                 => 'Invalid model ID. Please select a different model to continue.',
    TOOL_USE_RESULT_MISMATCH         => 'The tool results do not match the tool uses of the preceding message.',
    TOOL_DUPLICATE                   => 'Tool names and tool use ids must be unique.',
    TOOL_SCHEMA_INVALID              => 'Invalid tool use format.',
    TOOL_CONFIG_MISSING              => 'The conversation uses tools but declares none.',
    THINKING_SIGNATURE_INVALID       => 'Invalid signature in thinking block.',
    IMAGE_FORMAT_UNSUPPORTED         => 'The image format is not supported.',
    IMAGE_MIME_MISMATCH              => 'The image does not match its declared format.',
    IMAGE_SIZE_EXCEEDED              => 'The image is too large.',
    IMAGE_COUNT_EXCEEDED             => 'Too many images.',
    INVALID_DOCUMENT_NAME            => 'The document name is invalid.',
    DOCUMENT_DUPLICATE_NAME          => 'Document names must be unique.',
    DOCUMENT_MODEL_NOT_SUPPORTED     => 'The model does not support documents.',
    DISALLOWED_FILE_TYPE             => 'The file type is not allowed.',
    INVALID_CONVERSATION_ID          => 'The conversation id is invalid.',
);

sub _invalid ($reason, $detail, $message = $MESSAGE{$reason}) {
    return { status => 400, type => 'ValidationException', reason => $reason, message => $message, detail => $detail };
}

sub _improper ($detail) { _invalid('REQUEST_BODY_INVALID', $detail) }

# --- rules ------------------------------------------------------------------------------------------------------
# $r: {body, state, current, history, messages, users, assistants, tools, model, wire, login, tokens, text}

sub _blank ($text) { $text !~ /[^ \t\r\n\f\x0b]/ }
sub _chars ($text) { length($text) - ($text =~ tr/\x80-\xbf//) }
sub _results ($user) { $user->{userInputMessageContext}{toolResults} // [] }

sub system_prompt ($r) {
    return exists $r->{body}{systemPrompt} ? _improper('systemPrompt: not allowed') : undef;
}

# Measured with text. Images and documents have limits of their own, far above this weight (official clients
# send ten images of 10 MB), so their base64 does not count.
sub weight ($r) {
    my $ascii = $r->{text} =~ tr/\x00-\x7f//;
    if ($ascii >= $MAX_WEIGHT) {
        $ascii -= length $1 while $r->{text} =~ m{"source"\s*:\s*\{\s*"bytes"\s*:\s*"([A-Za-z0-9+/=]*+)"}g;
    }
    my $weight = $ascii + 8 * ($r->{text} =~ tr/\xc0-\xff//);
    return $weight >= $MAX_WEIGHT ? _invalid('CONTENT_LENGTH_EXCEEDS_THRESHOLD', "the body weighs $weight") : undef;
}

sub shape ($r) {
    my $error = _misfit($r->{body}, \'request', '$');
    return _improper($error) if $error;
    my $state = $r->{state} = $r->{body}{conversationState};
    $r->{history}    = $state->{history} // [];
    $r->{current}    = $state->{currentMessage}{userInputMessage};
    $r->{messages}   = [@{ $r->{history} }, $state->{currentMessage}];
    $r->{users}      = [grep { $_ } map { $_->{userInputMessage} } @{ $r->{messages} }];
    $r->{assistants} = [grep { $_ } map { $_->{assistantResponseMessage} } @{ $r->{messages} }];
    return undef;
}

sub current_is_user ($r) {
    return _improper('currentMessage: must be a userInputMessage') if !$r->{current};
    $r->{tools} = [map { $_->{toolSpecification} } @{ $r->{current}{userInputMessageContext}{tools} // [] }];
    return undef;
}

my $UUID = qr/[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/;

sub identities ($r) {
    for my $name (qw(conversationId rootConversationId)) {
        my $id = $r->{state}{$name} // next;
        return _invalid('INVALID_CONVERSATION_ID', "$name: bad form") if $id !~ /\A[A-Za-z0-9_-]{1,128}\z/;
    }
    my $id = $r->{state}{agentContinuationId};
    return defined $id && $id !~ /\A$UUID\z/ ? _improper('agentContinuationId: must be a UUID') : undef;
}

my %ORIGIN = (v3 => 'AI_EDITOR', rest => 'AI_EDITOR', v2 => 'KIRO_CLI');

sub origin ($r) {
    my $want = $ORIGIN{ $r->{wire} };
    for my $user (@{ $r->{users} }) {
        return _improper("origin: must be $want") if defined $user->{origin} && $user->{origin} ne $want;
    }
    return undef;
}

sub history_size ($r) {
    return undef if !defined $r->{state}{history};
    return _improper('history: must be left out when empty') if !@{ $r->{history} };
    return @{ $r->{history} } > $MAX_HISTORY ? _improper("history: more than $MAX_HISTORY messages") : undef;
}

sub alternation ($r) {
    my $want = 'userInputMessage';
    for my $i (0 .. $#{ $r->{messages} }) {
        return _improper("message $i: roles must alternate, beginning with the user") if !defined $r->{messages}[$i]{$want};
        $want = $want eq 'userInputMessage' ? 'assistantResponseMessage' : 'userInputMessage';
    }
    return undef;
}

sub content_present ($r) {
    for my $i (0 .. $#{ $r->{messages} }) {
        if (my $user = $r->{messages}[$i]{userInputMessage}) {
            return _improper("message $i: blank user content without tool results")
                if _blank($user->{content}) && !@{ _results($user) };
            return _invalid('CONTENT_LENGTH_EXCEEDS_THRESHOLD', "message $i: content too long",
                'Input content length exceeds threshold.') if _chars($user->{content}) > $MAX_CONTENT;
        }
        else {
            my $assistant = $r->{messages}[$i]{assistantResponseMessage};
            return _improper("message $i: empty assistant message")
                if _blank($assistant->{content}) && !@{ $assistant->{toolUses} // [] } && !$assistant->{reasoningContent};
        }
    }
    return undef;
}

sub tools_on_current_only ($r) {
    for my $i (0 .. $#{ $r->{history} }) {
        my $user = $r->{history}[$i]{userInputMessage} or next;
        return _improper("history[$i]: tools belong to the current message") if $user->{userInputMessageContext}{tools};
    }
    return undef;
}

sub tool_names ($r) {
    my %seen;
    for my $tool (@{ $r->{tools} }) {
        my $name = $tool->{name};
        return _invalid('REQUEST_BODY_INVALID', "tool name '$name'", 'Invalid tool use format.')
            if $name !~ /\A[a-zA-Z][a-zA-Z0-9_-]{0,62}\z/;
        return _invalid('TOOL_DUPLICATE', "tool '$name' declared twice") if $seen{$name}++;
        return _improper("tool '$name': blank description") if _blank($tool->{description});
    }
    return undef;
}

my %REFUSED = map { $_ => 1 } qw($schema $id $comment additionalProperties patternProperties unevaluatedProperties propertyNames
    pattern format minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum multipleOf maxItems uniqueItems
    minProperties maxProperties dependentRequired dependentSchemas contains if then else not);

sub tool_schemas ($r) {
    for my $tool (@{ $r->{tools} }) {
        my $schema = $tool->{inputSchema}{json};
        my $error = !is_string($schema->{type}) || $schema->{type} ne 'object' ? 'the root must have type object'
            : (grep { exists $schema->{$_} } qw(oneOf anyOf allOf)) ? 'no union at the root'
            :                                                         _schema_error($schema, '$');
        return _invalid('TOOL_SCHEMA_INVALID', "tool '$tool->{name}': $error") if $error;
    }
    return undef;
}

sub _schema_error ($schema, $path) {
    return undef if is_bool($schema);
    return "$path: must be an object" if ref $schema ne 'HASH';
    for my $key (sort keys %$schema) {
        return "$path.$key: keyword not supported" if $REFUSED{$key};
    }
    if (exists $schema->{required}) {
        my $required = $schema->{required};
        return "$path.required: must be a non-empty list of strings"
            if ref $required ne 'ARRAY' || !@$required || grep { !is_string($_) } @$required;
    }
    for my $key (qw(properties $defs definitions)) {
        next if !exists $schema->{$key};
        my $inner = $schema->{$key};
        return "$path.$key: must be an object" if ref $inner ne 'HASH';
        for my $name (sort keys %$inner) {
            my $error = _schema_error($inner->{$name}, "$path.$key.$name");
            return $error if $error;
        }
    }
    for my $key (qw(items anyOf oneOf allOf)) {
        next if !exists $schema->{$key};
        for my $inner (ref $schema->{$key} eq 'ARRAY' ? @{ $schema->{$key} } : $schema->{$key}) {
            my $error = _schema_error($inner, "$path.$key");
            return $error if $error;
        }
    }
    return undef;
}

sub tool_ids ($r) {
    my %seen;
    my @ids = map { $_->{toolUseId} } map { @{ $_->{toolUses} // [] } } @{ $r->{assistants} };
    my @answered = map { $_->{toolUseId} } map { @{ _results($_) } } @{ $r->{users} };
    for my $id (@ids, @answered) {
        return _improper('toolUseId: bad length or character') if $id !~ /\A[a-zA-Z0-9_-]{1,64}\z/;
    }
    for my $id (@ids) {
        return _invalid('TOOL_DUPLICATE', "toolUseId $id used twice") if $seen{$id}++;
    }
    return undef;
}

sub tool_pairing ($r) {
    my @open;
    for my $i (0 .. $#{ $r->{messages} }) {
        my $message = $r->{messages}[$i];
        if (my $assistant = $message->{assistantResponseMessage}) {
            @open = map { $_->{toolUseId} } @{ $assistant->{toolUses} // [] };
            next;
        }
        my @answered = map { $_->{toolUseId} } @{ _results($message->{userInputMessage}) };
        my ($asked, $given) = map { join ' ', sort @$_ } \@open, \@answered;
        return _invalid('TOOL_USE_RESULT_MISMATCH', "message $i: asked [$asked], answered [$given]") if $asked ne $given;
        @open = ();
    }
    return undef;
}

sub tools_declared ($r) {
    my @used = map { $_->{name} } map { @{ $_->{toolUses} // [] } } @{ $r->{assistants} };
    my $results = grep { @{ _results($_) } } @{ $r->{users} };
    return undef if !@used && !$results;
    return _invalid('TOOL_CONFIG_MISSING', 'no tools declared') if !@{ $r->{tools} };
    my %declared = map { lc $_->{name} => 1 } @{ $r->{tools} };
    for my $name (@used) {
        return _improper("history uses the undeclared tool '$name'") if !$declared{ lc $name };
    }
    return undef;
}

sub tool_results ($r) {
    for my $result (map { @{ _results($_) } } @{ $r->{users} }) {
        my $content = $result->{content};
        my $told = grep { defined $_->{json} || defined $_->{text} && !_blank($_->{text}) } @$content;
        return _improper("result $result->{toolUseId}: no text") if !$told;
        my $size = 0;
        $size += _chars($_->{text}) for grep { defined $_->{text} } @$content;
        return _invalid('CONTENT_LENGTH_EXCEEDS_THRESHOLD', "result $result->{toolUseId} too long") if $size > $MAX_TOOL_RESULT;
    }
    return undef;
}

my %MAGIC = (
    png  => qr/\A\x89PNG\r\n\x1a\n/,
    jpeg => qr/\A\xff\xd8\xff/,
    gif  => qr/\AGIF8[79]a/,
    webp => qr/\ARIFF....WEBP/s,
);

# Decoded bytes, or undef when the text is not pure, padded base64.
sub _base64 ($text) {
    return undef if $text eq '' || length($text) % 4;
    return undef if $text =~ m{[^A-Za-z0-9+/=]} || $text =~ /=(?!=?\z)/;
    return MIME::Base64::decode_base64($text);
}

sub images ($r) {
    my $count = 0;
    for my $user (@{ $r->{users} }) {
        for my $image (@{ $user->{images} // [] }) {
            my $magic = $MAGIC{ $image->{format} } or return _invalid('IMAGE_FORMAT_UNSUPPORTED', "format '$image->{format}'");
            my $bytes = _base64($image->{source}{bytes}) // return _improper('image bytes: not pure base64');
            return _invalid('IMAGE_SIZE_EXCEEDED', length($bytes) . ' bytes') if length $bytes > $MAX_IMAGE_BYTES;
            return _invalid('IMAGE_MIME_MISMATCH', "not a $image->{format}") if $bytes !~ $magic;
            return _invalid('IMAGE_COUNT_EXCEEDED', "more than $MAX_IMAGES") if ++$count > $MAX_IMAGES;
        }
    }
    return undef;
}

my %DOCUMENT = map { $_ => 1 } qw(pdf csv doc docx xls xlsx html txt md);

sub documents ($r) {
    for my $user (@{ $r->{users} }) {
        my %seen;
        for my $document (@{ $user->{documents} // [] }) {
            my $name = $document->{name};
            return _invalid('DISALLOWED_FILE_TYPE', "format '$document->{format}'") if !$DOCUMENT{ $document->{format} };
            return _invalid('INVALID_DOCUMENT_NAME', "name '$name'") if $name !~ /\A[A-Za-z0-9 ()\[\]-]{1,200}\z/ || _blank($name);
            return _invalid('DOCUMENT_DUPLICATE_NAME', "name '$name'") if $seen{$name}++;
            return _improper('document bytes: not pure base64') if !defined _base64($document->{source}{bytes});
            return _invalid('DOCUMENT_MODEL_NOT_SUPPORTED', $r->{model}{id}) if !grep { $_ eq 'PDF' } @{ $r->{model}{types} };
        }
    }
    return undef;
}

sub model ($r) {
    my $id = $r->{current}{modelId} // 'auto';
    $r->{model} = KiroSim::Models::find($id);
    return $r->{model} ? undef : _invalid('INVALID_MODEL_ID', "model '$id'");
}

sub model_fields ($r) {
    my $fields = $r->{body}{additionalModelRequestFields} // return undef;
    my $schema = $r->{model}{schema};
    my $error = $schema ? KiroSim::Models::schema_error($fields, $schema)
                        : 'additionalModelRequestFields is not supported for this model';
    return $error ? _invalid('REQUEST_BODY_INVALID', $error, $error) : undef;
}

sub reasoning ($r) {
    return undef if !$r->{model}{signed};
    for my $assistant (@{ $r->{assistants} }) {
        my $text = $assistant->{reasoningContent}{reasoningText} // next;
        return _invalid('THINKING_SIGNATURE_INVALID', 'unknown, altered or foreign signature')
            if !$r->{tokens}->signature_ok($r->{login}, $text->{text}, $text->{signature} // '');
    }
    return undef;
}

sub profile ($r) {
    my $arn = $r->{body}{profileArn};
    my ($type, $reason) = ('ValidationException', undef);
    my $failure = sub ($status, $type, $message) { { status => $status, type => $type, message => $message, detail => $message } };
    if ($r->{login}{kind} eq 'api_key') {
        return defined $arn ? $failure->(400, 'ValidationException', 'Invalid profileArn.') : undef;
    }
    # The hosts of old do not know the profile that stands for a Builder ID's.
    return defined $arn ? $failure->(403, 'AccessDeniedException', 'User is not authorized to make this call.') : undef
        if $r->{legacy} && $r->{login}{kind} eq 'builder';
    return $failure->(400, 'ValidationException', 'profileArn is required for this request.') if !defined $arn || !is_string($arn);
    return $failure->(400, 'ValidationException', 'Invalid profileArn.')
        if length $arn > 256 || $arn !~ m{\Aarn:[a-z-]+:codewhisperer:[a-z0-9-]+:[0-9]{12}:profile/[A-Za-z0-9]+\z};
    return !KiroSim::Tokens::owns($r->{login}, $arn) ? $failure->(403, 'AccessDeniedException', 'User is not authorized to make this call.')
         : KiroSim::Tokens::region_of($arn) ne $r->{region} ? $failure->(403, 'AccessDeniedException', 'Invalid token') : undef;
}

my @RULES = (
    [weight => \&weight], [system_prompt => \&system_prompt], [shape => \&shape], [profile => \&profile],
    [current_is_user => \&current_is_user], [identities => \&identities], [origin => \&origin],
    [history_size => \&history_size], [alternation => \&alternation], [content_present => \&content_present],
    [tools_on_current_only => \&tools_on_current_only], [tool_names => \&tool_names], [tool_schemas => \&tool_schemas],
    [tool_ids => \&tool_ids], [tool_pairing => \&tool_pairing], [tools_declared => \&tools_declared],
    [tool_results => \&tool_results], [model => \&model], [images => \&images], [documents => \&documents],
    [model_fields => \&model_fields], [reasoning => \&reasoning],
);

# Parses the text; returns (value, failure).
sub parse ($text) {
    my $body = eval { decode_json($text) };
    if ($@) {
        chomp(my $why = $@);
        return (undef, { %{ _invalid('REQUEST_BODY_INVALID_JSON', $why) }, rule => 'json' });
    }
    return ($body, { %{ _improper('$: must be an object') }, rule => 'json' }) if ref $body ne 'HASH';
    return ($body, undef);
}

# $r needs body, text, wire, login, tokens; the rules add what they find.
sub check ($r) {
    for my $rule (@RULES) {
        my $failure = $rule->[1]->($r) or next;
        $failure->{rule} = $rule->[0];
        return $failure;
    }
    return undef;
}

1;
