use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;
use Test::Kiro::Faults qw(table plan_of @before @after $WORDS);

# What becomes of every failure of the service: status and words that the client gets, how often the gateway tried,
# what the log can say. The tables are the test; each row runs in three dialects, streamed and collected.

# --- what a kind of failure looks like -----------------------------------------------------------------------------
# kind              | OpenAI: status, type, code                      | Anthropic: status, type   | Responses, in a stream  | final
# A streamed failure has the same type and code. "final": x-should-retry is false; "-": only where the row says so.

my %KIND = map { $_->[0] => $_ } table(<<'EOT');
rate_limited        | 429 requests              rate_limit_exceeded     | 429 rate_limit_error      | rate_limit_exceeded     | -
quota               | 429 insufficient_quota    insufficient_quota      | 402 billing_error         | insufficient_quota      | final
overloaded          | 503 server_error          server_is_overloaded    | 529 overloaded_error      | server_error            | -
auth_expired        | 502 server_error          null                    | 502 api_error             | server_error            | final
access_denied       | 403 invalid_request_error permission_denied       | 403 permission_error      | invalid_prompt          | -
suspended           | 403 invalid_request_error permission_denied       | 403 permission_error      | invalid_prompt          | final
context_overflow    | 400 invalid_request_error context_length_exceeded | 400 invalid_request_error | context_length_exceeded | -
model_not_found     | 404 invalid_request_error model_not_found         | 404 not_found_error       | invalid_prompt          | -
too_large           | 413 invalid_request_error request_too_large       | 413 request_too_large     | server_error            | -
upstream_refused    | 400 invalid_request_error null                    | 400 invalid_request_error | invalid_prompt          | -
upstream_error      | 502 server_error          null                    | 502 api_error             | server_error            | -
upstream_connect    | 502 server_error          null                    | 502 api_error             | server_error            | -
upstream_tls        | 502 server_error          null                    | 502 api_error             | invalid_prompt          | final
upstream_timeout    | 504 server_error          timeout                 | 504 timeout_error         | server_error            | -
upstream_cut        | 502 server_error          null                    | 502 api_error             | server_error            | -
upstream_protocol   | 502 server_error          null                    | 502 api_error             | server_error            | -
upstream_empty      | 502 server_error          null                    | 502 api_error             | server_error            | -
unavailable         | 503 server_error          null                    | 503 api_error             | server_error            | -
EOT

# --- what is not the service's doing --------------------------------------------------------------------------------
# location | kind             | tries

my @places = table(<<'EOT');
refused    | upstream_connect | 3
strange    | upstream_tls     | 1
name       | upstream_tls     | 1
EOT

my $quick = 'kiro_retries 2; kiro_retry_delay 10ms 20ms; kiro_early_headers off;';
my $short = 600 * Test::Kiro::patience();
my $t = Test::Kiro->new(
    location => $quick,
    account  => 'cool_down off; quota_retry off; suspended_retry off;', # one row must not stop the next: t/account_states.t
    http => <<'EOT',
    kiro_account refused { api_key_file %%API_KEY_FILE%%; endpoint http://127.0.0.1:1; }
    kiro_account strange { api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_name localhost; }
    kiro_account name    { api_key_file %%API_KEY_FILE%%; endpoint %%ENDPOINT%%; ssl_trusted_certificate %%CA%%; ssl_name wrong.example; }
    kiro_account login   {
        credentials_file %%CREDENTIALS%%; state_path %%STATE%%; endpoint %%ENDPOINT%%; auth_endpoint %%ENDPOINT%%;
        ssl_trusted_certificate %%CA%%; ssl_name localhost;
    }
EOT
    server => "location /fast/v1/ { kiro_pass main; $quick kiro_first_token_timeout ${short}ms; kiro_read_timeout ${short}ms; }"
        . ' location /early/v1/ { kiro_pass main; kiro_retries 1; kiro_retry_delay 10ms 20ms; kiro_early_headers 50ms; }'
        . ' location /many/v1/ { kiro_pass main; kiro_retries 6; kiro_retry_delay 10ms 20ms; }'
        . join('', map { " location /$_/v1/ { kiro_pass $_; $quick }" } qw(refused strange name login)),
    allow => qr/SSL|certificate/,
);
$t->start;

my %DIALECT = (
    openai    => { path => 'chat/completions', id => 'x-request-id', make => 'openai_x',    stream => 'openai_stream',    object => 'openai_object' },
    anthropic => { path => 'messages',         id => 'request-id',   make => 'anthropic_x', stream => 'anthropic_stream', object => 'anthropic_object' },
    responses => { path => 'responses',        id => 'x-request-id', make => 'responses_x', stream => 'responses_stream', object => 'responses_object' },
);
my %ENDS  = (openai => 'length', anthropic => 'max_tokens', responses => qr/^incomplete/);
my %WHOLE = (openai => 'stop',   anthropic => 'end_turn',   responses => qr/^completed/);

# --- making requests -------------------------------------------------------------------------------------------------

my (@waiting, %count, %log);
my $gap = 30 * Test::Kiro::patience(); # words that come together with the fault are not behind it

sub element { return plan_of($_[0], $gap) }

# One request: { dialect, stream, plan, row, judge }
sub add {
    my (%x) = @_;
    my $d = $DIALECT{ $x{dialect} };
    my $where = $x{place} ? "/$x{place}/v1/" : ($x{row}[-1] // '') =~ /fast/ ? '/fast/v1/' : '/v1/';
    $x{prompt} = scripted(@{ $x{plan} } > 1 ? @{ $x{plan} } : ref $x{plan}[0] ? $x{plan}[0] : $x{plan}[0]);
    my $make = $d->{make};
    $x{http} = $t->$make($x{prompt}, stream => $x{stream}, path => $where . $d->{path});
    $x{name} .= ", $x{dialect} " . ($x{stream} ? 'streamed' : 'collected');
    push @waiting, \%x;
    return;
}

# Runs them side by side; then what the log and, with "counted", the simulator know is at hand.
my ($made, $since) = (0, 0);
sub run_all {
    my ($beside, $counted) = @_;
    my @all = splice @waiting;
    for (my @rest = @all; @rest;) {
        $t->run(60, map { $_->{http} } splice @rest, 0, $beside);
    }
    my $before = $made;
    $made += @all;
    my @lines = lines_of_log($made);
    %log = map { $_->{id} => $_ } map { json($_) } @lines[ $before .. $#lines ];
    if ($counted) {
        %count = ();
        for my $seen (@{ $t->sim(GET => "log?op=generate&since=$since") }) {
            $since = $seen->{n};
            my $text = ref $seen->{body} ? $seen->{body}{conversationState}{currentMessage}{userInputMessage}{content} // '' : '';
            $count{$1}++ if $text =~ /\]\] (request \d+ of \d+)/;
        }
    }
    $_->{judge}->($_) for @all;
    return;
}

sub lines_of_log {
    my ($n) = @_;
    my @lines;
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub {
        @lines = split /\n/, Test::Kiro::slurp("$t->{dir}/logs/access.log");
        return @lines >= $n;
    });
    return @lines;
}

# --- judging -----------------------------------------------------------------------------------------------------------

sub log_of {
    my ($x) = @_;
    return $log{ $x->{http}->header($DIALECT{ $x->{dialect} }{id}) // '' } // {};
}

sub plain { return map { defined && $_ ne '-' ? $_ : '' } @_ }

sub tries {
    my ($x, $tries, $loose) = @_;
    my ($id) = $x->{prompt} =~ /\]\] (request \d+ of \d+)/;
    my $seen = $count{$id} // 0;
    return $seen == $tries || $loose && $seen > $tries && $seen <= $tries + 40;
}

# What the variables say, as one comparison.
sub variables_are {
    my ($x, %want) = @_;
    my $v = log_of($x);
    my %have;
    @have{qw(status attempts error why stop)} = plain(@$v{qw(status attempts error why stop)});
    delete $have{stop} if ref $want{stop} && $have{stop} =~ delete $want{stop};
    is_deeply(\%have, \%want, "$x->{name}: \$status, \$kiro_attempts, \$kiro_error, \$kiro_retry_reason, \$kiro_stop_reason");
    return;
}

# Type and code of an error, in a body or in a stream.
sub words_are {
    my ($x, $kind, $e, $in_stream) = @_;
    my (undef, $openai, $anthropic, $responses) = @{ $KIND{$kind} };
    my (undef, $type, $code) = split ' ', $openai;
    if ($x->{dialect} eq 'anthropic') { is($e->{type}, (split ' ', $anthropic)[1], "$x->{name}: type") }
    elsif ($x->{dialect} eq 'responses' && $in_stream) { is($e->{code}, $responses, "$x->{name}: code") }
    else { is("$e->{type} " . ($e->{code} // 'null'), "$type $code", "$x->{name}: type and code") }
    my %phrase = (openai => qr/maximum context length/, responses => qr/maximum context length/, anthropic => qr/prompt is too long/);
    like($e->{message}, $phrase{ $x->{dialect} }, "$x->{name}: the words of an overflow") if $kind eq 'context_overflow' && !$in_stream;
    return;
}

sub failed {
    my ($kind, $tries, $more) = @_;
    $more //= '';
    return sub {
        my ($x) = @_;
        my (undef, $openai, $anthropic, undef, $final) = @{ $KIND{$kind} };
        my ($status) = split ' ', $x->{dialect} eq 'anthropic' ? $anthropic : $openai;
        my $e = $t->error_shape($x->{http}, $x->{dialect} eq 'anthropic' ? 'anthropic' : 'openai', $status, $x->{name});
        words_are($x, $kind, $e);
        my ($after) = $more =~ /after=(\d+)/;
        $after //= 1 if $kind eq 'rate_limited' && $x->{dialect} eq 'responses' && $more !~ /final/; # the longest of kiro_retry_delay, 1 s at least
        is($x->{http}->header('retry-after'),    $after,                 "$x->{name}: Retry-After");
        is($x->{http}->header('retry-after-ms'), $after && 1000 * $after, "$x->{name}: retry-after-ms");
        is($x->{http}->header('x-should-retry'), $final eq 'final' || $more =~ /final/ ? 'false' : undef, "$x->{name}: x-should-retry");
        variables_are($x, status => $status, attempts => $tries, error => $kind, why => $tries > 1 ? $kind : '', stop => '');
        ok(tries($x, $x->{place} ? 0 : $tries, $more =~ /~/), "$x->{name}: requests at the simulator");
    };
}

sub answered {
    my ($tries, $why, $more, %want) = @_;
    return sub {
        my ($x) = @_;
        my $d = $DIALECT{ $x->{dialect} };
        my $check = $x->{stream} ? $d->{stream} : $d->{object};
        my $s = $t->$check($x->{http}, $x->{name});
        ok(!$s->{error}, "$x->{name}: no error");
        if (exists $want{text}) { is($s->{text}, $want{text}, "$x->{name}: the text") }
        else                    { like($s->{text}, $want{like} // qr/^You said: /, "$x->{name}: the text") }
        my ($n, $reason) = $more =~ /~/ && (log_of($x)->{attempts} // 0) == 1 ? (1, '') : ($tries, $why);
        variables_are($x, status => 200, attempts => $n, error => $want{error} // '', why => $reason, stop => ($want{stop} // \%WHOLE)->{ $x->{dialect} });
        ok(tries($x, $tries, $more =~ /~/), "$x->{name}: requests at the simulator") unless $x->{place};
    };
}

sub broken {
    my ($kind, $more) = @_;
    my $or = failed($kind, 3, $more);
    return sub {
        my ($x) = @_;
        # a reset may overtake the words before it
        return pass("$x->{name}: reset before the first word") if $more =~ /~/ && ($x->{http}{status} // 0) == 502;
        my $check = $DIALECT{ $x->{dialect} }{stream};
        my $s = $t->$check($x->{http}, $x->{name});
        ok($s->{error}, "$x->{name}: an error in the stream") or return;
        words_are($x, $kind, $s->{error}, 1);
        like($s->{text}, qr/^One/, "$x->{name}: what had come is there");
        isnt($s->{text}, $WORDS, "$x->{name}: and is not all") unless $x->{row}[0] =~ /instead of the tail/;
        ok(!$x->{http}{error} && $x->{http}{last_chunk}, "$x->{name}: the response itself ends well");
        my $id = $x->{http}->header('request-id');
        like($x->{http}{body}, qr/"request_id":"$id"/, "$x->{name}: the request's id") if $x->{dialect} eq 'anthropic';
        variables_are($x, status => 200, attempts => 1, error => $kind, why => '', stop => '');
    };
}

# --- the rows ------------------------------------------------------------------------------------------------------------

my @modes = map { my $d = $_; map { [ $d, $_ ] } 0, 1 } sort keys %DIALECT;
my $n = 0;

sub heals {
    my ($row, $plan, $kind, $more) = @_;
    my ($dialect, $stream) = @{ $modes[ $n++ % @modes ] };
    add(name => "$row->[0], once", dialect => $dialect, stream => $stream, plan => [ $plan, 'ok' ], row => $row, judge => answered(2, $kind, $more));
    return;
}

for my $row (@before) {
    my ($name, $plan, $kind, $tries, $more) = @$row;
    $plan = element($plan);
    for my $mode (@modes) {
        add(name => $name, dialect => $mode->[0], stream => $mode->[1], plan => [$plan], row => $row, judge => failed($kind, $tries, $more));
    }
    heals($row, $plan, $kind, $more) if $tries > 1;
}
for my $row (@after) {
    my ($name, $plan, $streamed, $collected, $tries, $more) = @$row;
    $plan = element($plan);
    for my $mode (@modes) {
        my ($dialect, $stream) = @$mode;
        my ($how, $kind) = reverse split ' ', $stream ? $streamed : $collected;
        ($how, $kind) = ($kind // '', $how);
        my $judge =
              $kind eq 'whole' ? answered(1, '', $more, text => $WORDS)
            : $how eq 'ends'   ? answered(1, '', $more, like => qr/^One/, error => $kind, stop => \%ENDS)
            : $stream          ? broken($kind, $more)
            :                    failed($kind, $tries, $more);
        add(name => "behind the first words: $name", dialect => $dialect, stream => $stream, plan => [$plan], row => $row, judge => $judge);
    }
}
for my $row (@places) {
    my ($place, $kind, $tries) = @$row;
    add(name => $place, dialect => $_->[0], stream => $_->[1], plan => ['ok'], row => [''], place => $place, judge => failed($kind, $tries)) for @modes;
}

my (@fast, @other);
push @{ $_->{row}[-1] =~ /fast/ ? \@fast : \@other }, $_ for splice @waiting;
my $everything = '';
for my $group (\@other, \@fast) {
    @waiting = @$group;
    run_all($group == \@fast ? 100 : 24, 1);
    $everything .= ($_->{http}{head} // '') . $_->{http}{body} for @$group;
}

# A rate limit is not hammered at, whatever kiro_retries says; other faults are.
add(name => '429, many retries', dialect => 'openai', stream => 0, plan => ['429'], row => [''], place => 'many', judge => sub {
    is((plain(log_of($_[0])->{attempts}))[0], 3, 'a rate limit is tried three times at most');
});
add(name => '500, many retries', dialect => 'openai', stream => 0, plan => ['500'], row => [''], place => 'many', judge => sub {
    is((plain(log_of($_[0])->{attempts}))[0], 7, 'another fault as often as kiro_retries says');
});
run_all(2);

# Where the headers had to be sent before anything was known, the same words come in the stream.
my %early;
for my $row (grep { $_->[1] =~ /^\{/ && $_->[2] !~ /timeout/ && !$early{ $_->[2] }++ } @before) {
    my ($name, $plan, $kind, $tries) = @$row;
    $plan = element($plan);
    for my $dialect (sort keys %DIALECT) {
        add(name => "behind early headers: $name", dialect => $dialect, stream => 1, plan => [ { %$plan, delay_ms => 300 } ], row => [''], place => 'early', judge => sub {
            my ($x) = @_;
            my $check = $DIALECT{$dialect}{stream};
            my $s = $t->$check($x->{http}, $x->{name});
            ok($s->{error}, "$x->{name}: an error in the stream") or return;
            words_are($x, $kind, $s->{error}, 1);
            $tries = 2 if $tries > 2;
            variables_are($x, status => 200, attempts => $tries, error => $kind, why => $tries > 1 ? $kind : '', stop => '');
        });
    }
}
run_all(48);

# A token that is refused: one refresh and one more try, whatever words say so.
for my $plan (401, '403', { status => 403, message => 'Invalid token' }, { status => 400, reason => undef, message => 'Invalid token' },
    { status => 401, html => 1 }, { status => 403, raw_body => '', headers => { 'x-amzn-errortype' => 'ExpiredTokenException' } },
    { exception => { type => 'UnrecognizedClientException', before => 1 } })
{
    for my $dialect (sort keys %DIALECT) {
        my $row = [''];
        my $name = 'a refused token, ' . (ref $plan ? json($plan) : $plan);
        add(name => "$name, once", dialect => $dialect, stream => 1, plan => [ $plan, 'ok' ], row => $row, place => 'login',
            judge => answered(2, 'auth_expired', ''));
        run_all(1);
        add(name => $name, dialect => $dialect, stream => 0, plan => [$plan], row => $row, place => 'login', judge => sub {
            my ($x) = @_;
            my $e = $t->error_shape($x->{http}, $dialect eq 'anthropic' ? 'anthropic' : 'openai', 502, $x->{name});
            words_are($x, 'auth_expired', $e);
            is($x->{http}->header('x-should-retry'), 'false', "$x->{name}: x-should-retry");
            variables_are($x, status => 502, attempts => 2, error => 'auth_expired', why => 'auth_expired', stop => '');
        });
        run_all(1);
    }
}

# --- nothing of the service shows ----------------------------------------------------------------------------------------

my %secret = (
    arn => 'arn:aws:codewhisperer:us-east-1:123456789012:profile/EXAMPLEABCDE', account => '123456789012', person => 'jane.doe@example.com',
    request => '5f3a9c1e-77aa-4b1d-9d0e-0c0ffee0c0de', token => 'aoaAAAAAGsecretfragment', host => 'ip-10-1-2-3.ec2.internal',
);
my $words = join ' ', map { $secret{$_} } sort keys %secret;
my $html  = "<html><head><title>$words</title></head><body>$words</body></html>";
my @leaky = (
    map({ { status => $_, message => $words, headers => { 'x-amzn-requestid' => $secret{request}, 'x-note' => $words } } } 400 .. 405, 409, 413, 418, 423, 429, 500 .. 504),
    map({ { status => 400, reason => $_, message => $words } } qw(INVALID_MODEL_ID PROMPT_TOO_LONG TOOL_SCHEMA_INVALID THINKING_SIGNATURE_INVALID NEW_REASON)),
    map({ { status => $_, html => $html } } 200, 302, 403, 502),
    { status => 400, reason => $words }, { status => 400, type => $words }, { status => 500, raw_body => $words }, { status => 200, raw_body => json({ message => $words }) },
    { status => 400, message => "property '$words' is not defined in the schema" }, { status => 429, message => $words, gzip => 1 }, { status => 302, headers => { location => "https://$secret{host}/$secret{arn}" } },
    map({ my $at = $_; { text => $WORDS, exception => { type => $_->[0], message => $words, $_->[1] ? (before => 1) : (after_events => 3) } } }
        map { my $type = $_; [ $type, 0 ], [ $type, 1 ] } qw(error throttlingError validationError SomethingNew)),
    { text => $WORDS, error_frame => { code => $secret{arn}, message => $words, after_events => 3 } },
    { error_frame => { code => 'InternalFailure', message => $words, before => 1 } },
    { events => [ { type => 'invalidStateEvent', payload => { reason => 'X', message => $words } } ], text => $WORDS },
);
my $leaks = '';
for my $plan (@leaky) {
    for my $mode (@modes) {
        add(name => 'secrets', dialect => $mode->[0], stream => $mode->[1], plan => [$plan], row => [''], place => ($plan->{status} // 0) == 401 ? 'login' : undef, judge => sub {
            my ($x) = @_;
            $leaks .= ($x->{http}{head} // '') . $x->{http}{body};
        });
    }
}
run_all(24);
my $notices = join "\n", grep { !/\[(?:info|debug)\]/ } split /\n/, $t->error_log;
my $access  = Test::Kiro::slurp("$t->{dir}/logs/access.log");
cmp_ok(length $leaks, '>', 50_000, 'there were answers');
for my $what (sort keys %secret) {
    is(index($leaks, $secret{$what}), -1, "no client sees the $what");
    is(index($notices, $secret{$what}), -1, "nor does the error log at its default level have the $what") or diag grep { /\Q$secret{$what}\E/ } split /\n/, $notices;
    is(index($access, $secret{$what}), -1, "nor the access log the $what");
}
unlike($everything, qr/__type|amazon\.com|x-amzn|arn:aws/i, 'no words of the service in any answer');
is((() = $t->error_log =~ /[^\x09\x0a\x20-\x7e]/g), 0, 'nothing garbled in the log');

# --- docs/failures.md says the same -----------------------------------------------------------------------------------------

my %told;
for (Test::Kiro::slurp(Test::Kiro::root() . '/docs/failures.md') =~ /^\| (`\w+` \|.*)$/mg) {
    my ($kind, undef, $openai, $anthropic) = map { tr/`//dr } split /\s*\|\s*/;
    $told{$kind}{"$openai, $anthropic"} = 1;
}
for my $kind (sort keys %KIND) {
    my (undef, $openai, $anthropic) = @{ $KIND{$kind} };
    my ($status, $type, $code) = split ' ', $openai;
    is_deeply([ keys %{ $told{$kind} // {} } ], [ "$status " . ($code eq 'null' ? $type : $code) . ", $anthropic" ], "docs/failures.md: $kind");
}

$t->done;
