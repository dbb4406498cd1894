use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# A tool call that the service cuts does not reach the client; the conversation's next request tells the model.

my $other = 'kiro-other-client-key';
my $t = Test::Kiro->new(
    key => 'kiro-first-client-key', listen => 'reuseport', allow => qr/exited on signal 9/,
    location => "kiro_client_key $other other; kiro_retries 0;",
    http     => 'kiro_account second { %%SOURCE%% endpoint %%SCHEME%%://kiro_runtime; ssl_trusted_certificate %%CA%%; ssl_name localhost; models_interval off; }',
    server   => <<'EOT',
        location /off/ { kiro_pass main; kiro_client_key kiro-first-client-key tester; kiro_truncation_notice off; }
        location /early/ { kiro_pass main; kiro_client_key kiro-first-client-key tester; kiro_retries 0; kiro_early_headers 100ms; }
        location /incremental/ { kiro_pass main; kiro_client_key kiro-first-client-key tester; kiro_tool_stream incremental; }
        location /second/ { kiro_pass second; kiro_client_key kiro-first-client-key tester; }
EOT
)->secret($other)->start;

my $schema = { type => 'object', properties => { path => { type => 'string' }, text => { type => 'string' } } };
my %tools = (
    openai    => [ { type => 'function', function => { name => 'write_file', description => 'writes', parameters => $schema } } ],
    anthropic => [ { name => 'write_file', description => 'writes', input_schema => $schema } ],
    responses => [ { type => 'function', name => 'write_file', description => 'writes', parameters => $schema } ],
);
my %path = (openai => 'chat/completions', anthropic => 'messages', responses => 'responses');
my %cut_word = (openai => [ finish => 'length' ], anthropic => [ stop => 'max_tokens' ], responses => [ status => 'incomplete' ]);

# How the service loses a call.
my %loss = (
    'a call without an end'  => { text => 'I write.', tools => [ { input => '{"path":"a"}', split => 3, no_stop => JSON::PP::true } ] },
    'input that is no JSON'  => { text => 'I write.', tools => [ { input => '{"path":"a","text":"half a fi', split => 3 } ] },
    'no other content'       => { tools => [ { input => '{"path":"a","text":"half a fi', split => 2 } ] },
);
my $lose = $loss{'input that is no JSON'};

my $plans = JSON::PP->new->canonical;
my $serial = 0;
sub beginning { return 'conversation ' . ++$serial . " of $$" }

# One request of a conversation: what the user said first, whether the model answered, what is said now.
sub ask {
    my ($api, $first, $plan, %o) = @_;
    my $now = '[[sim:' . $plans->encode($plan) . ']] now' . (delete $o{more} // '');
    my @said = ({ role => 'user', content => $first }, { role => 'assistant', content => 'I write.' }, { role => 'user', content => $now });
    my $member = $api eq 'responses' ? 'input' : 'messages';
    my $base = delete $o{base} // '/v1';
    my $stream = delete $o{stream} // 1;
    return $t->exchange('POST', "$base/$path{$api}", {
        model => $api eq 'anthropic' ? 'claude-sonnet-4-5' : 'claude-sonnet-4.5', tools => $tools{$api}, $member => \@said,
        $api eq 'anthropic' ? (max_tokens => 100_000) : (), $stream ? (stream => JSON::PP::true) : (),
    }, %o);
}

# Runs requests until they are in the access log as well.
my $sent = 0;
sub run {
    my (@x) = @_;
    $t->run(60, @x);
    $sent += @x;
    my $log = "$t->{dir}/logs/access.log";
    Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { Test::Kiro::slurp($log) =~ tr/\n// >= $sent });
    return @x;
}
sub one { return (run(@_))[0] }

sub answer {
    my ($api, $r, $stream, $name) = @_;
    my $check = $api . ($stream ? '_stream' : '_object');
    return $t->$check($r, $name);
}

# How often the notice stands in the current message of the service's newest request, and elsewhere in it.
sub told {
    my ($name) = @_;
    my $body = ($t->seen)[-1]{body};
    my $state = $body->{conversationState};
    my $now = $state->{currentMessage}{userInputMessage}{content};
    my $times = () = $now =~ /\[Note of the API gateway: your previous answer was cut off before the call of the tool "write_file" was/g;
    my $all = () = json($body) =~ /Note of the API gateway/g;
    is($all, $times, "$name: nowhere but in the current message, with the tool's name");
    return $times;
}

for my $api (qw(openai anthropic responses)) {
    for my $stream (1, 0) {
        for my $how (sort keys %loss) {
            my $name = "$api, " . ($stream ? 'streamed' : 'collected') . ", $how";
            my $first = beginning();
            my $s = answer($api, one(ask($api, $first, $loss{$how}, stream => $stream)), $stream, "$name, first");
            my ($member, $word) = @{ $cut_word{$api} };
            is($s->{$member}, $word, "$name: the turn ends early");
            is_deeply($s->{tools} // [], [], "$name: and has no call");
            is(told("$name, first"), 0, "$name: nothing to tell yet");
            answer($api, one(ask($api, $first, { words => 3 }, stream => $stream)), $stream, "$name, next");
            is(told("$name, next"), 1, "$name: the next request tells it once");
            one(ask($api, $first, { words => 3 }, stream => $stream));
            is(told("$name, after a good answer"), 0, "$name: the one after that does not");
        }
    }
}
my @log = $t->access;
is_deeply([ map { $_->{lost} } @log[ 0 .. 2 ] ], [ 'write_file', '', '' ], '$kiro_lost_calls');
is_deeply([ map { $_->{notice} } @log[ 0 .. 2 ] ], [ '', 'write_file', '' ], '$kiro_notice');
is($log[0]{conversation}, $log[1]{conversation}, 'one conversation');
my @said = $t->grep_log(qr/\[notice\].*kiro: the service cut the call of the tool "write_file"; .* tells the model/);
is(scalar @said, 18, 'the log has a line for each lost call');
is(scalar $t->grep_log(qr/half a fi/), 0, 'none has an argument');

# Dialects share conversations, as they share the service's id.
my $first = beginning();
one(ask('openai', $first, $lose));
one(ask('responses', $first, { words => 3 }));
is(told('another dialect'), 1, 'another dialect of the same conversation');

# Nobody else is told.
$first = beginning();
one(ask('openai', $first, $lose));
one(ask('openai', beginning(), { words => 3 }));
is(told('another conversation'), 0, 'another conversation is not told');
one(ask('openai', $first, { words => 3 }, headers => [ Authorization => "Bearer $other" ]));
is(told('another client'), 0, 'nor another client');
one(ask('openai', $first, { words => 3 }, base => '/second'));
is(told('another account'), 0, 'nor another account');
one(ask('openai', $first, { words => 3 }, base => '/off'));
is(told('switched off'), 0, 'nor where it is switched off');

# Counting does not see it.
my @count = map { json(one($t->exchange(POST => '/v1/messages/count_tokens', { model => 'claude-sonnet-4-5', tools => $tools{anthropic},
    messages => [ { role => 'user', content => $_ } ] }))->{body})->{input_tokens} } $first, beginning();
is($count[0], $count[1], 'count_tokens is the same');

# A request that fails, or loses a call again, leaves it to be told again: also when it is the client's retry.
one(ask('openai', $first, { status => 500 }));
is(told('an error'), 1, 'the request that owes the notice');
one(ask('openai', $first, { text => 'One two three.', cut => { events => 2 } }));
is(told('after an error'), 1, 'again after an error');
one(ask('openai', $first, $lose));
is(told('after a cut'), 1, 'again after an answer that was cut');
one(ask('openai', $first, { tools => [ { input => { path => 'a' } } ] }));
is(told('after another loss'), 1, 'again after another loss');
one(ask('openai', $first, { words => 3 }));
is(told('after a good call'), 0, 'no more after a call that came whole');

# Answers that broke in a call, before anything was sent and after it.
my %call = (tools => [ { input => '{"path":"a","text":"' . 'x' x 60 . '"}', split => 8 } ]);
my %error = (type => 'internalServerException', message => 'The model stream failed.');
for my $broken ([ 502, 'end', { %call, cut => { events => 3 } } ], [ 502, 'exception', { %call, exception => { %error, after_events => 3 } } ],
    [ 200, 'end', { text => 'Yes.', %call, cut => { events => 5 } } ],
    [ 200, 'exception', { text => 'Yes.', %call, exception => { %error, after_events => 5 } } ])
{
    my ($status, $how, $plan) = @$broken;
    for my $api (sort keys %tools) {
        $first = beginning();
        my $r = one(ask($api, $first, $plan));
        my $name = "$api, $how in a call, $status";
        $status == 200 ? answer($api, $r, 1, $name) : $t->error_shape($r, $api, $status, $name);
        one(ask($api, $first, { words => 3 }));
        is(told($name), 1, "$name: is told");
    }
}

# The same behind headers that could not wait.
$first = beginning();
my $early = one(ask('openai', $first, { %call, first_ms => 800, cut => { events => 3 } }, base => '/early'));
is($early->{status}, 200, 'a stream whose headers were early');
like($early->{body}, qr/"error"/, 'ends with an error');
is(($t->access)[-1]{lost}, 'write_file', 'which is known to have lost the call');
one(ask('openai', $first, { words => 3 }));
is(told('early headers'), 1, 'and is told');

# A call that was passed on while it came.
for my $api (sort keys %tools) {
    $first = beginning();
    my $r = one(ask($api, $first, { text => 'Yes.', %call, cut => { events => 5 } }, base => '/incremental'));
    like($r->{body}, qr/write_file.*xxx/s, "$api: the client has seen a part of the call");
    one(ask($api, $first, { words => 3 }, base => '/incremental'));
    is(told("$api, incremental"), 1, "$api: the model is told nevertheless");
}

# Attempts of one request tell it once each.
$t->{location} =~ s/kiro_retries 0/kiro_retries 2/;
$t->reload;
$first = beginning();
one(ask('anthropic', $first, $lose));
$t->reload;
answer('anthropic', one(ask('anthropic', $first, [ { status => 500 }, { status => 500 }, { words => 3 } ])), 1, 'three attempts after a reload');
is(told('the third attempt'), 1, 'the reload kept it, and the third attempt tells it once');
is(($t->access)[-1]{attempts}, 3, 'which it was');

# An attempt that is nothing but a cut call is made again, and tells it already.
for my $broken ($loss{'no other content'}, { %call, cut => { events => 3 } }, { %call, exception => { %error, after_events => 3 } }) {
    for my $stream (1, 0) {
        $first = beginning();
        my $s = answer('openai', one(ask('openai', $first, [ $broken, { words => 3 } ], stream => $stream)), $stream, 'the second attempt');
        is(told('the second attempt'), 1, 'tells it');
        my $log = ($t->access)[-1];
        is("$log->{attempts} $log->{notice} $log->{lost}", '2 write_file ', 'as the variables do');
        one(ask('openai', $first, { words => 3 }));
        is(told('the next request'), 0, 'the next request does not');
    }
}
# One whose calls are cut again and again tells of all.
$first = beginning();
answer('openai', one(ask('openai', $first, [ map({ { tools => [ { name => $_, input => '{"a', split => 2 } ] } } qw(write_file other_tool)), { words => 3 } ])),
    1, 'the third attempt');
my $now = ($t->seen)[-1]{body}{conversationState}{currentMessage}{userInputMessage}{content};
like($now, qr/the calls of the tools "write_file", "other_tool" were complete/, 'tells of both lost calls');
is($now =~ s/Note of the API gateway//gr, $now =~ s/Note of the API gateway//r, 'in one notice');
is(($t->access)[-1]{notice}, 'write_file,other_tool', 'as the variable does');

# What an answer lost that has nothing else is told with what its request told; beside other content that may be done.
for my $row ([ 'write_file,second_tool,third_tool', [ map { { tools => [ { name => $_, input => '{"a', split => 2 } ] } } qw(second_tool third_tool second_tool) ] ],
    [ 'other_tool', { text => 'I write.', tools => [ { name => 'other_tool', input => '{"a', split => 2 } ] } ])
{
    my ($told, $later) = @$row;
    $first = beginning();
    one(ask('openai', $first, $_)) for $lose, $later, { words => 3 };
    is(($t->access)[-1]{notice}, $told, "$told: all that was lost is told");
    one(ask('openai', $first, { words => 3 }));
    is(($t->access)[-1]{notice}, '', 'once');
}

# A notice that does not fit is told by another request.
$first = beginning();
one(ask('openai', $first, $lose));
one(ask('openai', $first, { words => 3 }, more => 'x' x 599_900));
is(told('a request without room'), 0, 'does not tell it');
is(($t->access)[-1]{notice}, '', 'nor says that it did');
is(($t->access)[-1]{status}, 200, 'and is answered');
is(scalar $t->grep_log(qr/\[notice\].*the notice of a tool call .* does not fit/), 1, 'which the log tells');
one(ask('openai', $first, { words => 3 }));
is(told('the request behind it'), 1, 'tells it');
one(ask('openai', $first, { words => 3 }));
is(told('the one behind that'), 0, 'once');

$first = beginning();
$t->error_shape(one(ask('openai', $first, [ $loss{'no other content'}, { status => 500 } ])), 'openai', 502, 'no good attempt');
one(ask('openai', $first, { words => 3 }));
is(told('after no good attempt'), 1, 'the next request tells it again');

# Every worker knows, also when the one that lost the call was killed.
$first = beginning();
one(ask('openai', $first, $lose));
my %pid;
for (1 .. 40) {
    one(ask('openai', $first, $lose));
    is(told("request $_ of the conversation"), 1, 'it is told');
    %pid = map { $_->{pid} => 1 } grep { $_->{notice} } $t->access;
    last if 2 == grep { $pid{$_} } $t->workers;
}
is(scalar(grep { $pid{$_} } $t->workers), 2, 'by both workers');
my $worker = ($t->access)[-1]{pid};
kill KILL => $worker;
ok(Test::Kiro::wait_for(10 * Test::Kiro::patience(), sub { my @w = $t->workers; @w == 2 && !grep { $_ == $worker } @w }), 'a worker was killed');
one(ask('openai', $first, { words => 3 }));
is(told('after the kill'), 1, 'it is still told');
one(ask('openai', $first, { words => 3 }));
is(told('after the kill, good answer'), 0, 'once');

# The client's own limit is no loss.
my $x = one($t->openai_x(scripted({ text => 'One two three four', tools => [ { input => { path => 'a' }, split => 3 } ] }),
    stream => 1, body => { tools => $tools{openai}, max_tokens => 1 }));
is(answer('openai', $x, 1, 'the limit of the client')->{finish}, 'length', 'cut by the client');
is(($t->access)[-1]{lost}, '', 'which is not the service\'s doing');

# A request whose call is cut where the notice is off is not noted.
$first = beginning();
one(ask('openai', $first, $lose, base => '/off'));
one(ask('openai', $first, { words => 3 }));
is(told('off before'), 0, 'switched off: nothing is noted');
is(scalar $t->grep_log(qr/\[notice\].*the service cut the call.*"kiro_truncation_notice" is off/), 1, 'but logged');

# The table of a small zone: the oldest leaves.
$t->{http} .= ' kiro_zone small:256k;';
$t->reload;
my @many = map { beginning() } 0 .. 128;
one(ask('openai', $many[0], $lose));
for (my $i = 1; $i < @many; $i += 32) { run(map { ask('openai', $_, $lose) } @many[ $i .. $i + 31 ]) }
one(ask('openai', $many[0], { words => 3 }));
is(told('the oldest'), 0, 'a full table forgets the oldest');
for my $i (1, 32, 64, 128) {
    one(ask('openai', $many[$i], { words => 3 }));
    is(told("conversation $i"), 1, "and knows the others: $i");
}
one(ask('openai', $many[1], { words => 3 }));
is(told('conversation 1'), 0, 'until they go on');

$t->done;
