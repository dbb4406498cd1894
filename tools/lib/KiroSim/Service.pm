package KiroSim::Service;

# The hosts: runtime, management, auth and the control door of the tests, told apart by path and x-amz-target.

use v5.36;
use File::Basename qw(basename);
use KiroSim::Conn ();
use KiroSim::Json qw(encode_json decode_json raw_json is_string is_number valid_utf8);
use KiroSim::Loop ();
use KiroSim::Models ();
use KiroSim::Plan ();
use KiroSim::Reply ();
use KiroSim::Search ();
use KiroSim::Tokens ();
use KiroSim::Usage ();
use KiroSim::Validate ();

my $LOG_ENTRIES = 10_000;
my $LOG_BYTES   = 64 << 20;

# Host role, operation and wire form by target.
my %TARGET = (
    'KiroRuntimeService.GenerateAssistantResponse'                    => ['generate', 'v3'],
    'AmazonCodeWhispererStreamingService.GenerateAssistantResponse'   => ['generate', 'v2'],
    'KiroRuntimeService.InvokeMCP'                                    => ['search', 'v3'],
    'AmazonCodeWhispererStreamingService.InvokeMCP'                   => ['search', 'v2'],
    map({ ("$_.ListAvailableModels" => ['models'], "$_.ListAvailableProfiles" => ['profiles'], "$_.GetUsageLimits" => ['usage'],
           "$_.GetProfile" => ['profile']) } qw(KiroControlPlaneBearerService AmazonCodeWhispererService)),
);
my %PATH = (
    '/generateAssistantResponse' => ['generate', 'rest'],
    '/mcp'                       => ['search',   'rest'],
    '/refreshToken'              => ['refresh',  'social'],
    '/token'                     => ['refresh',  'oidc'],
    '/oauth2/v2.0/token'         => ['refresh',  'external'],
);
my %CONTENT_TYPE = (v3 => 'application/x-amz-json-1.0', v2 => 'application/x-amz-json-1.0', rest => 'application/json');
my %OPERATION = (generate => \&_generate, search => \&_search, refresh => \&_refresh, map { $_ => \&_management } qw(models profiles usage profile));

my @COUNTERS = qw(generate generate_ok generate_rejected search search_ok refresh refresh_ok invalid_grant invalid_client models profiles usage
    streams_completed streams_closed_by_client open_streams open_streams_max connections_accepted connections_current control_connections);

# loop, tokens, plans, vectors (dir), log (file handle), describe (what GET /_sim tells)
sub new ($class, %arg) {
    my $self = bless { %arg, entries => [], entry_bytes => 0, n => 0, conns => 0, held => {}, auth_plan => [],
                       models_plan => [], usage_plan => [], profiles_plan => [], profiles_page => 10 }, $class;
    $self->{count} = { map { $_ => 0 } @COUNTERS };
    return $self;
}

# --- connections ------------------------------------------------------------------------------------------------

sub accepted ($self, $conn) {
    $conn->{id} = ++$self->{conns};
    $self->{count}{connections_accepted}++;
    $self->{count}{connections_current}++;
}

# A connection that turns out to be a test's control door does not count as a client's.
sub _is_control ($self, $conn) {
    return if $conn->{control} || $conn->{requests};
    $conn->{control} = 1;
    $self->{count}{$_}-- for qw(connections_accepted connections_current);
    $self->{count}{control_connections}++;
}

sub gone ($self, $conn) {
    $self->{count}{connections_current}-- if !$conn->{control};
    $self->_stream_over($conn, 1);
}

sub answered ($self, $conn) { $self->_stream_over($conn, 0) }

sub _stream_over ($self, $conn, $gone) {
    my $entry = delete $conn->{open} or return;
    $self->{count}{open_streams}--;
    my $by_client = defined $entry->{closed_by_client_at};
    $self->{count}{$by_client ? 'streams_closed_by_client' : 'streams_completed'}++ if $by_client || ($entry->{end} // '') eq 'complete';
}

# --- requests ---------------------------------------------------------------------------------------------------

sub handle ($self, $conn, $q) {
    if ($q->{path} =~ m{\A/_sim(?:/|\z)}) {
        $self->_is_control($conn);
        return $self->_control($conn, $q);
    }
    $conn->{requests}++;
    $q->{region} = _region($conn, $q);
    my $target = $q->{headers}{'x-amz-target'};
    my $route = defined $target ? ($q->{path} eq '/' ? $TARGET{$target} : undef) : $PATH{ $q->{path} };
    my ($op, $wire) = $route ? @$route : ('unknown');
    my $entry = $conn->{entry} = $self->_entry($conn, $q, $op, $wire);
    return $self->_refuse($conn, $entry, { status => 404, type => 'UnknownOperationException', rule => 'route',
        message => 'Unknown operation.', detail => defined $target ? "target $target at $q->{path}" : "$q->{method} $q->{path}" }) if !$route;
    return $self->_refuse($conn, $entry, { status => 405, type => 'UnknownOperationException', rule => 'method',
        message => 'Method not allowed.', detail => $q->{method} }) if $q->{method} ne 'POST';
    $self->{count}{$op}++ if exists $self->{count}{$op};
    $OPERATION{$op}->($self, $conn, $q, $entry, $op, $wire);
}

sub _entry ($self, $conn, $q, $op, $wire) {
    my $entry = {
        n => ++$self->{n}, time => KiroSim::Conn::wall_ms(), op => $op, wire => $wire, conn => $conn->{id}, tls => !!$conn->{ssl},
        region => $q->{region},
        method => $q->{method}, path => $q->{path}, query => $q->{query}, http => $q->{http}, headers => $q->{headers},
        body => $q->{body}, bytes_sent => 0, body_bytes => 0, events_sent => 0,
    };
    push @{ $self->{entries} }, $entry;
    $self->{entry_bytes} += length $q->{body};
    while (@{ $self->{entries} } > $LOG_ENTRIES || $self->{entry_bytes} > $LOG_BYTES && @{ $self->{entries} } > 1) {
        $self->{entry_bytes} -= length +(shift @{ $self->{entries} })->{body};
    }
    return $entry;
}

# Each byte as the character of its number, in UTF-8.
sub _latin1 ($bytes) { $bytes =~ s/([\x80-\xff])/chr(0xc0 | ord($1) >> 6) . chr(0x80 | ord($1) & 0x3f)/ger }

sub _entry_json ($entry) {
    my %shown = %$entry;
    my $body = delete $shown{body};
    if ($body ne '') {
        if ($entry->{json} //= eval { decode_json($body); 1 } ? 1 : 0) { $shown{body} = raw_json($body) }
        else { $shown{raw} = valid_utf8($body) ? $body : _latin1($body) }
    }
    delete $shown{json};
    return encode_json(\%shown);
}

# The verdict is known: what is told about the request now goes to the log file.
sub _decided ($self, $entry, $status, $verdict = undef) {
    $entry->{status} = $status;
    $entry->{verdict} = $verdict if $verdict;
    my $log = $self->{log} or return;
    print $log _entry_json($entry), "\n";
    $log->flush;
}

sub _request_id {
    return join '-', map { join '', map { sprintf '%02x', int rand 256 } 1 .. $_ } 4, 2, 2, 2, 6;
}

# x-kiro-sim-rule tells a test which rule spoke; the real service is silent about that.
sub _refuse ($self, $conn, $entry, $f) {
    $self->{count}{generate_rejected}++ if $entry->{op} eq 'generate';
    $self->_decided($entry, $f->{status}, { map { $_ => $f->{$_} } grep { defined $f->{$_} } qw(rule type reason message detail) });
    my $detail = "$f->{rule}: " . ($f->{detail} // '');
    $detail =~ s/[^ -~]/?/g;
    $conn->answer($f->{status}, ['content-type' => _error_type($entry), 'x-amzn-requestid' => _request_id(),
        'x-amzn-errortype' => $f->{type}, 'x-kiro-sim-rule' => substr $detail, 0, 300], KiroSim::Reply::error_body($f));
}

sub _error_type ($entry) { ($entry->{wire} // '') eq 'rest' ? 'application/json' : 'application/x-amz-json-1.0' }

# --- what all calls with a bearer token share -------------------------------------------------------------------

sub _denied ($rule, $message, $detail, %more) {
    return { status => 403, type => 'AccessDeniedException', rule => $rule, message => $message, detail => $detail, %more };
}

my %TOKEN_TYPE = (api_key => 'API_KEY', external => 'EXTERNAL_IDP');

# (login, failure)
sub _authenticate ($self, $q, $op = '') {
    my $h = $q->{headers};
    my ($bearer) = ($h->{authorization} // '') =~ /\ABearer ([!-~]+)\z/;
    my ($login, $why) = $self->{tokens}->check($bearer);
    return (undef, _denied('bearer', 'The bearer token included in the request is invalid.', $why)) if !$login;
    for my $agent (map { $h->{$_} // () } qw(user-agent x-amz-user-agent)) {
        return (undef, _denied('user_agent', 'User is not authorized to make this call.', $agent, reason => 'FEATURE_NOT_SUPPORTED'))
            if index($agent, 'AWS-Language-Servers-AWS-CodeWhisperer') >= 0;
    }
    my $type = $h->{tokentype};
    my $want = $TOKEN_TYPE{ $login->{kind} };
    return ($login, undef) if $op eq 'profiles' && !defined $type;    # a list, if an empty one
    return (undef, _denied('token_type', 'Invalid token', 'TokenType is ' . ($type // 'absent')))
        if ($type // '') ne ($want // '') || defined $type && !defined $want;
    return (undef, _denied('region', 'Invalid token', "no profile in $q->{region}"))
        if $op ne 'profiles' && !KiroSim::Tokens::at_home($login, $q->{region});
    return ($login, undef);
}

# The door's region, or at the first door the one that the host name tells.
sub _region ($conn, $q) {
    my ($told) = ($q->{headers}{host} // '') =~ /\A\w+\.([a-z0-9-]+)\.(?:kiro\.dev|amazonaws\.com)(?::\d+)?\z/;
    return $conn->{region} if !defined $told || $told eq $conn->{region};
    return $conn->{region} eq 'us-east-1' ? $told : 'nowhere';
}

sub _legacy ($q) { !!(($q->{headers}{host} // q{}) =~ /\.amazonaws\.com(?::\d+)?\z/i) }

sub _content_type ($q) { lc(($q->{headers}{'content-type'} // '') =~ s/\s*;.*//sr) }

sub _wrong_type ($q, $want) {
    my $type = _content_type($q);
    return undef if $type eq $want;
    return { status => 415, type => 'UnsupportedMediaTypeException', rule => 'content_type', message => 'Unsupported content type.',
             detail => "'$type' instead of '$want'" };
}

# --- runtime host -----------------------------------------------------------------------------------------------

sub _generate ($self, $conn, $q, $entry, $op, $wire) {
    my $failure = _wrong_type($q, $CONTENT_TYPE{$wire});
    (my $login, $failure) = $self->_authenticate($q) if !$failure;
    my $body;
    if (!$failure) {
        ($body, $failure) = KiroSim::Validate::parse($q->{body});
        $entry->{json} = defined $body ? 1 : 0;
    }
    my $r = { body => $body, text => $q->{body}, wire => $wire, login => $login, tokens => $self->{tokens},
              region => $q->{region}, legacy => _legacy($q) };
    $failure //= KiroSim::Validate::check($r);
    return $self->_refuse($conn, $entry, $failure) if $failure;

    my ($plan, $attempt, $name, $items);
    eval {
        ($plan, $attempt, $name) =
            $self->{plans}->choose($q->{headers}{'x-kiro-sim-plan'}, [$r->{current}{content}, KiroSim::Reply::told($r)], $r->{state}{conversationId} // '');
        $items = defined $plan->{vector} ? [] : KiroSim::Reply::script($plan, $r);
    };
    if ($@) {
        chomp(my $why = $@);
        return $self->_refuse($conn, $entry,
            { status => 400, type => 'KiroSimPlanException', rule => 'plan', message => "kiro-sim: $why", detail => $why });
    }
    @$entry{qw(attempt plan)} = ($attempt, $name);
    $conn->{open} = $entry;
    my $count = $self->{count};
    $count->{open_streams}++;
    $count->{open_streams_max} = $count->{open_streams} if $count->{open_streams} > $count->{open_streams_max};

    $self->_when_due($conn, $entry, $plan, sub { $self->_start($conn, $entry, $plan, $items) });
}

sub _when_due ($self, $conn, $entry, $plan, $answer) {
    my $start = sub { $answer->() if !$conn->{closed} };
    if (defined $plan->{hold} && !defined $plan->{hold_at}) {
        my $inner = $start;
        $start = sub { $self->hold($conn, $plan->{hold}, $inner) };
    }
    $self->_decided($entry, _unanswered($plan) ? 0 : $plan->{status} // 200);
    return $self->{loop}->at(KiroSim::Loop::now_ms() + $plan->{delay_ms}, $start) if $plan->{delay_ms};
    $start->();
}

sub _unanswered ($plan) {
    my $cut = $plan->{cut};
    return $plan->{hang} || defined $cut && (!ref $cut || $cut->{request});
}

sub _extra_headers ($plan) {
    my $headers = $plan->{headers} // {};
    return map { (lc $_ => $headers->{$_}) } sort keys %$headers;
}

# Default headers, each left out when the plan sets it itself.
sub _headers ($plan, @defaults) {
    my @extra = _extra_headers($plan);
    my %set = @extra;
    my @out;
    while (my ($name, $value) = splice @defaults, 0, 2) { push @out, $name => $value if defined $value && !exists $set{$name} }
    return [@out, @extra];
}

# True: the plan wants no good answer, and has got what it wants.
sub _faulty ($self, $conn, $entry, $plan) {
    my $cut = $plan->{cut};
    if ($plan->{hang}) {
        $conn->abandon('hang');
        return 1;
    }
    if (_unanswered($plan)) {
        $conn->abandon((ref $cut ? $cut->{mode} : undef) // $plan->{cut_mode} // 'fin', 0);
        return 1;
    }
    $conn->{keep} = 0 if $plan->{close} || ($plan->{claim} // 0) > 0;
    $conn->interim($_) for ref $plan->{interim} ? @{ $plan->{interim} } : $plan->{interim} // ();
    return 0 if !KiroSim::Reply::is_fault($plan);
    my ($status, $type, $body, $error) = KiroSim::Reply::fault($plan);
    $body = KiroSim::Reply::compressed($body, $plan->{gzip}) if $plan->{gzip};
    $conn->answer($status, _headers($plan, 'content-type' => $type // _error_type($entry), 'x-amzn-requestid' => _request_id(),
        'x-amzn-errortype' => $error, 'content-encoding' => $plan->{gzip} ? 'gzip' : undef), $body,
        claim => $plan->{claim}, surplus => $plan->{surplus});
    return 1;
}

sub _search ($self, $conn, $q, $entry, $op, $wire) {
    my $failure = _wrong_type($q, $CONTENT_TYPE{$wire});
    (my $login, $failure) = $self->_authenticate($q) if !$failure;
    (my $body, $failure) = KiroSim::Validate::parse($q->{body}) if !$failure;
    $failure //= KiroSim::Search::check({ body => $body, login => $login, region => $q->{region}, legacy => _legacy($q) });
    return $self->_refuse($conn, $entry, $failure) if $failure;

    my ($plan, $attempt, $name) = ({});
    my $query = KiroSim::Search::query($body);
    if (defined $query) {
        eval { ($plan, $attempt, $name) = $self->{plans}->choose($q->{headers}{'x-kiro-sim-plan'}, [$query], "search\0$query") };
        if ($@) {
            chomp(my $why = $@);
            return $self->_refuse($conn, $entry,
                { status => 400, type => 'KiroSimPlanException', rule => 'plan', message => "kiro-sim: $why", detail => $why });
        }
    }
    @$entry{qw(attempt plan)} = ($attempt, $name);
    $self->_when_due($conn, $entry, $plan, sub {
        return if $self->_faulty($conn, $entry, $plan);
        $self->{count}{search_ok}++;
        $conn->answer(200, _headers($plan, 'content-type' => _error_type($entry), 'x-amzn-requestid' => _request_id()),
            KiroSim::Search::answer($body, $plan));
    });
}

sub _start ($self, $conn, $entry, $plan, $items) {
    return if $self->_faulty($conn, $entry, $plan);
    my $cut = $plan->{cut};
    $self->{count}{generate_ok}++;
    my $blob;
    if (defined $plan->{vector}) {
        $blob = $self->_vector($plan->{vector})
            // return $conn->answer(500, ['content-type' => 'text/plain'], "kiro-sim: no vector $plan->{vector}\n");
    }
    my %stream = (
        next => KiroSim::Reply::frames($items, $plan, $blob), framing => $plan->{framing} // 'chunked', gap => $plan->{gap_ms} // 1,
        first => $plan->{first_ms} // 0, chunk => $plan->{chunk}, chunk_ms => $plan->{chunk_ms},
        cut_mode => ($cut && $cut->{mode}) // $plan->{cut_mode} // 'fin',
        defined $plan->{silence_ms} ? (silence => { at => $plan->{silence_at} // 1, ms => $plan->{silence_ms} }) : (),
        defined $plan->{hold_at} ? (hold => { at => $plan->{hold_at}, name => $plan->{hold} // 'hold' }) : (),
        $cut ? (cut_bytes => $cut->{bytes}, cut_events => $cut->{events}, cut_head => $cut->{head}) : (),
        map({ $_ => $plan->{$_} } qw(head_piece head_ms surplus)),
    );
    if ($stream{framing} eq 'length') {
        my $walk = KiroSim::Reply::frames($items, $plan, $blob);
        $stream{length} = 0;
        while (defined(my $frame = $walk->())) { $stream{length} += length $frame }
        $stream{length} += $plan->{claim} // 0;
    }
    my $headers = _headers($plan, 'content-type' => 'application/vnd.amazon.eventstream', 'x-amzn-requestid' => _request_id());
    $conn->stream(200, $headers, \%stream);
}

sub _vector ($self, $name) {
    my $file = basename($name);
    for my $path (map { ("$_/$file", "$_/$file.bin") } @{ $self->{vectors} }) {
        next if !-f $path;
        open my $fh, '<:raw', $path or return undef;
        local $/;
        return readline $fh;
    }
    return undef;
}

# Parks a request under a name until it is released.
sub hold ($self, $conn, $name, $callback) {
    push @{ $self->{held}{$name} }, [$conn, $callback];
}

sub _held ($self) {
    my %count;
    for my $name (keys %{ $self->{held} }) {
        my @open = grep { !$_->[0]{closed} } @{ $self->{held}{$name} };
        $self->{held}{$name} = \@open;
        $count{$name} = @open if @open;
    }
    return \%count;
}

sub _release ($self, $name) {
    my $released = 0;
    for my $key (defined $name ? $name : keys %{ $self->{held} }) {
        for my $waiter (@{ delete $self->{held}{$key} // [] }) {
            next if $waiter->[0]{closed};
            $released++;
            $waiter->[1]->();
        }
    }
    return $released;
}

# --- management host --------------------------------------------------------------------------------------------

sub _management ($self, $conn, $q, $entry, $op, $wire) {
    my $failure = _wrong_type($q, 'application/x-amz-json-1.0');
    (my $login, $failure) = $self->_authenticate($q, $op) if !$failure;
    $failure->{status} = 400 if $failure && $failure->{rule} eq 'bearer';    # this host's habit
    (my $body, $failure) = KiroSim::Validate::parse($q->{body} eq '' ? '{}' : $q->{body}) if !$failure;
    (my $reply, $failure) = $self->_management_reply($q, $op, $body, $login) if !$failure;
    my $plan = $op eq 'profiles' ? $self->_profiles_plan($q) : undef;
    return $self->_list($conn, $entry, $plan, $reply) if $plan && (!$failure || $failure->{rule} ne 'bearer');
    return $self->_refuse($conn, $entry, $failure) if $failure;
    my $faults = $op eq 'models' ? $self->{models_plan} : $op eq 'usage' ? $self->{usage_plan} : [];
    return $self->_list($conn, $entry, shift @$faults, $reply) if @$faults;
    $self->_decided($entry, 200);
    $conn->answer(200, ['content-type' => 'application/x-amz-json-1.0', 'x-amzn-requestid' => _request_id()], encode_json($reply));
}

# The next element for this region; one that is kept serves for ever.
sub _profiles_plan ($self, $q) {
    my $plan = $self->{profiles_plan};
    for my $i (0 .. $#$plan) {
        next if defined $plan->[$i]{region} && $plan->[$i]{region} ne $q->{region};
        return $plan->[$i] if $plan->[$i]{keep};
        return splice @$plan, $i, 1;
    }
    return undef;
}

my %MODELS_FIELD = map { $_ => 1 } qw(status type reason message retry_after_ms raw_body html headers drop rst hang delay_ms hold);

# A good request for a list that is to fare badly.
sub _list ($self, $conn, $entry, $plan, $reply) {
    $entry->{plan} = $plan if %$plan;
    my $act = sub {
        return $self->_decided($entry, 0) if $conn->{closed};
        if ($plan->{hang} || $plan->{drop} || $plan->{rst}) {
            $self->_decided($entry, 0);
            return $plan->{hang} ? $conn->abandon('hang') : $conn->abandon($plan->{rst} ? 'rst' : 'fin', 0);
        }
        my ($status, $type, $text, $error) = (200, undef, encode_json($reply));
        ($status, $type, $text, $error) = KiroSim::Reply::fault($plan)
            if $plan->{html} || defined $plan->{raw_body} || ($plan->{status} // 200) != 200;
        $self->_decided($entry, $status);
        $conn->answer($status, _headers($plan, 'content-type' => $type // 'application/x-amz-json-1.0', 'x-amzn-requestid' => _request_id(),
            'x-amzn-errortype' => $error), $text);
    };
    if (defined $plan->{hold}) {
        my $inner = $act;
        $act = sub { $self->hold($conn, $plan->{hold}, $inner) };
    }
    return $self->{loop}->at(KiroSim::Loop::now_ms() + $plan->{delay_ms}, $act) if $plan->{delay_ms};
    $act->();
}

sub _bad_member ($message) {
    return { status => 400, type => 'ValidationException', reason => 'REQUEST_BODY_INVALID', rule => 'member',
             message => $message, detail => $message };
}

# A page of the profiles that a login has in this region.
sub _profiles_reply ($self, $q, $body, $login) {
    return (undef, _denied('profile', 'AWS Builder ID is not supported for this operation.', 'Builder ID'))
        if $login->{kind} eq 'builder';
    for my $member (sort keys %$body) {
        return (undef, _bad_member("unknown member $member.")) if $member !~ /\A(?:maxResults|nextToken)\z/;
    }
    my $most = $body->{maxResults} // 10;
    return (undef, _bad_member('maxResults is invalid.')) if !is_number($most) || $most < 1 || $most > 100;
    my $first = 0;
    if (defined $body->{nextToken}) {
        ($first) = $body->{nextToken} =~ /\Apage:"(\d+)"\z/ or return (undef, _bad_member('nextToken is invalid.'));
    }
    # Without its TokenType an external token has no profile at all.
    my $blind = $login->{kind} eq 'api_key' || ($TOKEN_TYPE{ $login->{kind} } // '') ne ($q->{headers}{tokentype} // '');
    my @all = $blind ? () : grep { KiroSim::Tokens::region_of($_->{arn}) eq $q->{region} } @{ $login->{profiles} };
    my $last = $first + ($most < $self->{profiles_page} ? $most : $self->{profiles_page});
    $last = @all if $last > @all;
    return { profiles => [@all[$first .. $last - 1]], nextToken => $last < @all ? qq{page:"$last"} : undef };
}

sub _management_reply ($self, $q, $op, $body, $login) {
    my $arn = $body->{profileArn};
    my $key = $login->{kind} eq 'api_key';
    return (undef, _denied('profile', 'User is not authorized to make this call.', 'foreign profileArn'))
        if defined $arn && !$key && !KiroSim::Tokens::owns($login, $arn);
    return (undef, _denied('region', 'Invalid token', 'profileArn of another region'))
        if defined $arn && !$key && KiroSim::Tokens::region_of($arn) ne $q->{region};
    my $profile = { arn => $login->{arn}, profileName => 'Simulated profile' };
    if ($op eq 'models') {
        return (undef, _bad_member('origin is required.')) if !is_string($body->{origin});
        return (undef, _bad_member('origin is invalid.')) if $body->{origin} !~ /\A(?:KIRO_CLI|AI_EDITOR)\z/;
        return (undef, _bad_member('profileArn is required for this request.')) if !defined $arn && !$key;
        for my $member (sort keys %$body) {
            return (undef, _bad_member("unknown member $member.")) if $member !~ /\A(?:origin|profileArn|maxResults|nextToken|modelProvider)\z/;
        }
        return (undef, _denied('profile', 'User is not authorized to make this call.', 'profileArn with an API key')) if $key && defined $arn;
        my $reply = KiroSim::Models::list_reply($body->{nextToken});
        return $reply ? $reply : (undef, _bad_member('nextToken is invalid.'));
    }
    return $self->_profiles_reply($q, $body, $login) if $op eq 'profiles';
    if ($op eq 'profile') { return { profile => $profile } }
    return (undef, _denied('profile', 'User is not authorized to make this call.', 'profileArn with an API key')) if $key && defined $arn;
    my $wrong = KiroSim::Usage::refusal($body, $key);
    return (undef, _bad_member($wrong)) if defined $wrong;
    return KiroSim::Usage::reply($body, 0.01 * $self->{count}{generate_ok});
}

# --- auth host --------------------------------------------------------------------------------------------------

my %AUTH_FIELD = map { $_ => 1 } qw(status error error_description drop rst hang hang_ms html raw_body headers delay_ms no_rotate
    no_refresh_token no_arn lost ttl hold);
my %AUTH_ERROR = (400 => 'invalid_grant', 401 => 'invalid_client', 403 => 'access_denied', 429 => 'slow_down');

sub _refresh ($self, $conn, $q, $entry, $op, $wire) {
    my $plan = shift @{ $self->{auth_plan} } // {};
    $entry->{plan} = $plan if %$plan;
    if ($plan->{hang} || defined $plan->{hang_ms}) {
        $self->_decided($entry, 0);
        $conn->abandon('hang');
        $self->{loop}->at(KiroSim::Loop::now_ms() + $plan->{hang_ms}, sub { $conn->close('cut_fin') }) if defined $plan->{hang_ms};
        return;
    }
    my $act = sub {
        return $self->_decided($entry, 0) if $conn->{closed};
        $self->_refresh_now($conn, $q, $entry, $wire, $plan);
    };
    if (defined $plan->{hold}) {
        my $inner = $act;
        $act = sub { $self->hold($conn, $plan->{hold}, $inner) };
    }
    return $self->{loop}->at(KiroSim::Loop::now_ms() + $plan->{delay_ms}, $act) if $plan->{delay_ms};
    $act->();
}

sub _auth_answer ($self, $conn, $entry, $plan, $status, $body) {
    $self->{count}{ $body->{error} }++ if defined $body->{error} && exists $self->{count}{ $body->{error} };
    my $verdict = defined $body->{error} ? { rule => 'auth', reason => $body->{error}, message => $body->{error_description} } : undef;
    $self->_decided($entry, $status, $verdict);
    $conn->answer($status, _headers($plan, 'content-type' => 'application/json', 'x-amzn-requestid' => _request_id()), encode_json($body));
}

sub _refresh_now ($self, $conn, $q, $entry, $wire, $plan) {
    if ($plan->{drop} || $plan->{rst}) {
        $self->_decided($entry, 0);
        return $conn->abandon($plan->{rst} ? 'rst' : 'fin', 0);
    }
    if ($plan->{html} || defined $plan->{raw_body}) {
        my ($status, $type, $body) = KiroSim::Reply::fault({ status => 502, %$plan });
        $self->_decided($entry, $status);
        return $conn->answer($status, _headers($plan, 'content-type' => $type // 'application/json'), $body);
    }
    if (defined $plan->{status} && $plan->{status} != 200) {
        my $error = $plan->{error} // $AUTH_ERROR{ $plan->{status} } // 'server_error';
        return $self->_auth_answer($conn, $entry, $plan, $plan->{status},
            { error => $error, error_description => $plan->{error_description} // 'simulated' });
    }
    my $refuse = sub ($status, $error, $why) {
        return $self->_auth_answer($conn, $entry, $plan, $status, { error => $error, error_description => $why });
    };
    return $self->_refresh_external($conn, $q, $entry, $plan, $refuse) if $wire eq 'external';
    my $body = _content_type($q) eq 'application/json' ? eval { decode_json($q->{body}) } : undef;
    my $oidc = $wire eq 'oidc';
    if (ref $body ne 'HASH') {
        return $refuse->(401, 'invalid_client', 'Invalid client provided') if $oidc;
        return $refuse->(400, 'invalid_request', 'The body must be JSON');
    }
    if ($oidc) {
        # A snake_case body gets the service's misleading answer, because it holds no clientId.
        my $client = $self->{tokens}{client};
        return $refuse->(401, 'invalid_client', 'Invalid client provided')
            if ($body->{clientId} // '') ne $client->{id} || ($body->{clientSecret} // '') ne $client->{secret};
        return $refuse->(400, 'unsupported_grant_type', 'grantType must be refresh_token') if ($body->{grantType} // '') ne 'refresh_token';
        return $refuse->(400, 'invalid_request', 'scope is not allowed') if exists $body->{scope};
    }
    return $refuse->(400, 'invalid_request', 'refreshToken is required') if !is_string($body->{refreshToken});
    my $login = $self->{tokens}->by_refresh($body->{refreshToken});
    return $refuse->(400, 'invalid_grant', 'Invalid refresh token provided')
        if !$login || ($login->{kind} eq 'social') != !$oidc || $login->{kind} eq 'external';

    my $new = $self->{tokens}->renew($login, ttl => $plan->{ttl}, keep_refresh => $plan->{no_rotate});
    if ($plan->{lost}) {
        $self->_decided($entry, 0);
        return $conn->abandon('fin');
    }
    $self->{count}{refresh_ok}++;
    my $keep = $plan->{no_rotate} || $plan->{no_refresh_token};
    $self->_auth_answer($conn, $entry, $plan, 200, {
        accessToken => $new->{access}, expiresIn => int $new->{ttl}, $keep ? () : (refreshToken => $new->{refresh}),
        $oidc ? (tokenType => 'Bearer', idToken => undef) : $plan->{no_arn} ? () : (profileArn => $new->{arn}),
    });
}

# The token endpoint of a company's identity provider, RFC 6749: a form over TLS.
sub _refresh_external ($self, $conn, $q, $entry, $plan, $refuse) {
    return $refuse->(400, 'invalid_request', 'TLS is required') if !$conn->{ssl};
    return $refuse->(400, 'invalid_request', 'The body must be a form') if _content_type($q) ne 'application/x-www-form-urlencoded';
    my (%form, @twice);
    for my $pair (split /&/, $q->{body}) {
        my ($name, $value) = map { s/\+/ /gr =~ s/%([0-9a-fA-F]{2})/chr hex $1/ger } split /=/, $pair, 2;
        push @twice, $name if exists $form{$name};
        $form{$name} = $value // '';
    }
    my $idp = $self->{tokens}{idp};
    return $refuse->(400, 'invalid_request', 'A parameter is repeated') if @twice;
    return $refuse->(400, 'unsupported_grant_type', 'grant_type must be refresh_token') if ($form{grant_type} // '') ne 'refresh_token';
    return $refuse->(401, 'invalid_client', 'Unknown client') if ($form{client_id} // '') ne $idp->{client};
    return $refuse->(400, 'invalid_scope', 'Unknown scope') if defined $form{scope} && $form{scope} ne $idp->{scopes};
    my $login = $self->{tokens}->by_refresh($form{refresh_token} // '');
    return $refuse->(400, 'invalid_grant', 'The refresh token is not valid') if !$login || $login->{kind} ne 'external';
    my $new = $self->{tokens}->renew($login, ttl => $plan->{ttl}, keep_refresh => $plan->{no_rotate});
    if ($plan->{lost}) {
        $self->_decided($entry, 0);
        return $conn->abandon('fin');
    }
    $self->{count}{refresh_ok}++;
    $self->_auth_answer($conn, $entry, $plan, 200, {
        token_type => 'Bearer', access_token => $new->{access}, expires_in => int $new->{ttl}, scope => $idp->{scopes},
        $plan->{no_rotate} || $plan->{no_refresh_token} ? () : (refresh_token => $new->{refresh}),
    });
}

# --- control ----------------------------------------------------------------------------------------------------

my %CONTROL = (
    'GET /_sim'          => sub ($self, $q, $body) { $self->{describe} },
    'GET /_sim/log'      => \&_log,
    'GET /_sim/stats'    => \&_stats,
    'POST /_sim/reset'   => \&_reset,
    'POST /_sim/tokens'  => \&_tokens,
    'POST /_sim/plan'    => sub ($self, $q, $body) { { elements => $self->{plans}->upload($body) } },
    'DELETE /_sim/plan'  => \&_forget_plan,
    'POST /_sim/release' => sub ($self, $q, $body) { { released => $self->_release($body->{name}) } },
    'POST /_sim/auth'    => \&_auth_plan,
    'POST /_sim/models'  => \&_models_plan,
    'POST /_sim/profiles' => \&_set_profiles_plan,
    'POST /_sim/usage'   => \&_usage_plan,
);

sub _control ($self, $conn, $q) {
    my $act = $CONTROL{"$q->{method} " . ($q->{path} =~ s{/\z}{}r)};
    my ($status, $reply) = (200);
    if ($act) {
        $reply = eval {
            my $body = $q->{body} eq '' ? {} : decode_json($q->{body}, lax => 1);
            die "the body must be an object\n" if ref $body ne 'HASH';
            $act->($self, $q, $body);
        };
        if ($@) { chomp(my $why = $@); ($status, $reply) = (400, { error => $why }) }
    }
    else { ($status, $reply) = (404, { error => "no $q->{method} $q->{path}" }) }
    $conn->answer($status, ['content-type' => 'application/json'], encode_json($reply) . "\n");
}

sub _query ($q) {
    my %value;
    for my $pair (split /&/, $q->{query} // '') {
        my ($name, $value) = split /=/, $pair, 2;
        $value{$name} = ($value // '') =~ s/%([0-9a-fA-F]{2})/chr hex $1/ger;
    }
    return %value;
}

sub _log ($self, $q, $body) {
    my %query = _query($q);
    my $since = $query{since} || 0;
    my @shown = grep { $_->{n} > $since && (!defined $query{op} || $_->{op} eq $query{op}) } @{ $self->{entries} };
    return raw_json('[' . join(",\n", map { _entry_json($_) } @shown) . ']');
}

sub _stats ($self, $q, $body) {
    return { %{ $self->{count} }, log => $self->{n}, held => $self->_held, auth_plan_left => scalar @{ $self->{auth_plan} } };
}

# Plans, counters, log and faults go; connections, streams and tokens stay.
sub _reset ($self, $q, $body) {
    $self->{plans}->reset;
    $self->{auth_plan} = [];
    @$self{qw(models_plan usage_plan)} = ([], []);
    KiroSim::Usage::restore();
    @$self{qw(profiles_plan profiles_page)} = ([], 10);
    KiroSim::Models::restore();
    $self->_release(undef);
    $self->{entries} = [];
    $self->{entry_bytes} = 0;
    $self->{tokens}->reset_ttl;
    my %now = map { $_ => $self->{count}{$_} } qw(open_streams connections_current);
    $self->{count} = { (map { $_ => 0 } @COUNTERS), %now, open_streams_max => $now{open_streams} };
    return { ok => !!1, log => $self->{n} };
}

sub _tokens ($self, $q, $body) {
    my $tokens = $self->{tokens};
    my %reply;
    $tokens->set_ttl(0 + $body->{ttl}) if defined $body->{ttl};
    $reply{expired} = $tokens->expire_all if $body->{expire};
    $reply{revoked} = $tokens->revoke_access if $body->{revoke_access};
    $reply{refresh_revoked} = $tokens->revoke_refresh if $body->{revoke_refresh};
    if ($body->{api_key}) { $reply{api_key} = $tokens->add_api_key }
    if (defined $body->{issue}) {
        die "unknown kind of login\n" if !KiroSim::Tokens::known_kind($body->{issue});
        my $profiles = $body->{profiles};
        die "profiles must be a list of {arn, profileName}\n"
            if defined $profiles && (ref $profiles ne 'ARRAY' || grep { ref ne 'HASH' || !defined $_->{arn} } @$profiles);
        my $login = $tokens->login($body->{issue}, $tokens->{ttl}, $profiles);
        %reply = (%reply, credentials => $tokens->credential_record($login), profile_arn => $login->{arn},
                  file => $self->{write_login}->($login));
        $reply{registration} = $tokens->registration_record if $login->{client};
    }
    return { ok => !!1, ttl => $tokens->{ttl}, %reply };
}

sub _forget_plan ($self, $q, $body) {
    my %query = _query($q);
    $self->{plans}->remove($body->{name} // $query{name});
    return { ok => !!1 };
}

# The elements of a plan for a list of the management host.
sub _faults ($body, $what) {
    my $plan = $body->{plan} // [];
    die "plan must be a list of objects\n" if ref $plan ne 'ARRAY' || grep { ref ne 'HASH' } @$plan;
    for my $element (@$plan) {
        for my $field (sort keys %$element) { die "unknown $what plan field '$field'\n" if !$MODELS_FIELD{$field} }
    }
    return [@$plan];
}

sub _usage_plan ($self, $q, $body) {
    my $plan = _faults($body, 'usage');
    KiroSim::Usage::change($body);
    $self->{usage_plan} = $plan;
    return { elements => scalar @$plan };
}

sub _models_plan ($self, $q, $body) {
    my $plan = _faults($body, 'models');
    $self->{models_plan} = $plan;
    KiroSim::Models::change(map { $_ => $body->{$_} } grep { exists $body->{$_} } qw(add remove page default));
    return { elements => scalar @$plan };
}

sub _set_profiles_plan ($self, $q, $body) {
    my $plan = $body->{plan} // [];
    die "plan must be a list of objects\n" if ref $plan ne 'ARRAY' || grep { ref ne 'HASH' } @$plan;
    for my $element (@$plan) {
        for my $field (sort keys %$element) { die "unknown profiles plan field '$field'\n" if !$MODELS_FIELD{$field} && $field !~ /^(?:region|keep)$/ }
    }
    $self->{profiles_plan} = [@$plan];
    $self->{profiles_page} = $body->{page} if defined $body->{page};
    return { elements => scalar @$plan };
}

sub _auth_plan ($self, $q, $body) {
    my $plan = $body->{plan};
    $plan = [$plan] if ref $plan eq 'HASH';
    die "plan must be a list of objects\n" if ref $plan ne 'ARRAY' || grep { ref ne 'HASH' } @$plan;
    for my $element (@$plan) {
        for my $field (sort keys %$element) { die "unknown auth plan field '$field'\n" if !$AUTH_FIELD{$field} }
    }
    $self->{auth_plan} = [@$plan];
    return { elements => scalar @$plan };
}

1;
