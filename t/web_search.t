use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Kiro;

# The web search of the service: a request whose only tool it is, and everything that can become of it.

my $search = { type => 'web_search_20250305', name => 'web_search', max_uses => 8 };

my %asked;

sub ask {
    my ($t, $query, %o) = @_;
    $asked{$t}++;
    my $stream = delete $o{stream};
    return $t->anthropic("Perform a web search for the query: $query", stream => $stream, body => { tools => [$search], %o });
}

sub answer {
    my ($t, $query, $name, %o) = @_;
    my $r = ask($t, $query, %o);
    return $o{stream} ? $t->anthropic_stream($r, $name) : $t->anthropic_object($r, $name);
}

# The line of the last request that ask() made.
sub logged { my ($t) = @_; return $t->last_access($asked{$t}) }

sub searches { return @{ $_[0]->sim(GET => 'log?op=search') } }

my $failed = { type => 'web_search_tool_result_error', error_code => 'unavailable' };

# --- what goes up, by login and wire ---------------------------------------

for my $login (qw(api_key_file credentials_file oidc refresh_token_file)) {
    my $t = Test::Kiro->new(login => $login)->start;
    my $s = answer($t, "red fox $login", "$login: a search", stream => 1);
    is(@{ $s->{searches} }, 1, "$login: one search");
    is_deeply($s->{searches}[0]{input}, { query => "red fox $login" }, "$login: its query");
    my ($up) = searches($t);
    is($up->{status}, 200, "$login: the service took it") or diag json($up);
    my $i   = $t->{simulator};
    my $arn = { credentials_file => 'profile_arn', oidc => 'oidc_profile_arn', refresh_token_file => 'refresh_token_profile_arn' }->{$login};
    is($up->{body}{profileArn}, $arn && $i->{$arn}, "$login: the profile");
    is($up->{headers}{tokentype}, $login eq 'api_key_file' ? 'API_KEY' : undef, "$login: TokenType");
    is($up->{headers}{accept}, 'application/json', "$login: Accept");
    is($t->stats->{generate}, 0, "$login: no model was asked");
    $t->stop;
}

for my $wire ([ v2 => '/', 'AmazonCodeWhispererStreamingService.InvokeMCP' ], [ rest => '/mcp', undef ]) {
    my ($name, $path, $target) = @$wire;
    my $t = Test::Kiro->new(account => "wire $name;")->start;
    is(@{ answer($t, "red fox $name", "$name: a search")->{searches} }, 1, "$name: one search");
    my ($up) = searches($t);
    is("$up->{path} $up->{status}", "$path 200", "$name: path");
    is($up->{headers}{'x-amz-target'}, $target, "$name: target");
    $t->stop;
}

# --- what comes of it -------------------------------------------------------

my $t = Test::Kiro->new(location => 'kiro_retries 2; kiro_first_token_timeout 1s;', account => 'cool_down off; quota_retry off;')->start;

for my $stream (1, 0) {
    my $way = $stream ? 'streamed' : 'collected';
    my $s = answer($t, "two results $way", $way, stream => $stream);
    my ($one, $two) = @{ $s->{searches}[0]{result} };
    is_deeply($one, {
        type => 'web_search_result', title => "Result 1 for two results $way", url => 'https://example.com/1',
        encrypted_content => "text:Snippet 1 about two results $way.", page_age => 'January 1, 2026',
    }, "$way: the first result");
    is($two->{page_age}, 'January 2, 2026', "$way: the second one is a day younger");
    like($s->{text}, qr{Result 1 for.*https://example\.com/1.*Snippet 1 about.*Result 2 for}s, "$way: and in words");
    is($s->{stop}, 'end_turn', "$way: stop_reason");
    like($s->{searches}[0]{id}, qr/^srvtoolu_[0-9a-f]{32}$/, "$way: the id");
    my $v = logged($t);
    is("$v->{model} $v->{api} $v->{attempts} $v->{stop} $v->{upstream_status} $v->{error}",
        'claude-sonnet-4.5 anthropic 1 end_turn 200 ', "$way: the variables") or diag json($v);
    is($v->{output}, $s->{usage}{output_tokens}, "$way: output tokens");

    $s = answer($t, scripted({ results => [] }), "$way, nothing found", stream => $stream);
    is_deeply($s->{searches}[0]{result}, [], "$way: an empty list is no failure");

    my $odd = [ { title => "a \"b\" \x{e9}\x{1f600}", url => 'https://example.com/?q=a&b', snippet => "line\nline" } ];
    $s = answer($t, scripted({ results => $odd }), "$way, escapes", stream => $stream);
    is_deeply([ map { $_ eq 'encrypted_content' ? $s->{searches}[0]{result}[0]{$_} =~ s/^text://r : $s->{searches}[0]{result}[0]{$_} }
        qw(title url encrypted_content) ], [ map { $odd->[0]{$_} } qw(title url snippet) ], "$way: any text comes through");

    for my $plan ({ is_error => JSON::PP::true }, { rpc_error => { code => -32000, message => 'no' } }, { result_text => '<html>' },
        { result_text => '{"totalResults":0}' })
    {
        my $what = (keys %$plan)[0];
        $s = answer($t, scripted($plan), "$way, $what", stream => $stream);
        is_deeply($s->{searches}[0]{result}, $failed, "$way, $what: the search says that it failed");
        $v = logged($t);
        is("$v->{attempts} $v->{error}", '1 upstream_error', "$way, $what: at once, and the log says why");
    }

    # Tried again like any attempt; what stays becomes the search's failure.
    $s = answer($t, scripted('500', 'ok'), "$way, 500 once", stream => $stream);
    is(ref $s->{searches}[0]{result}, 'ARRAY', "$way: the second attempt had results");
    is(logged($t)->{attempts}, 2, "$way: two attempts");
    $s = answer($t, scripted({ raw_body => '<html>' }, 'ok'), "$way, garbage once", stream => $stream);
    is(ref $s->{searches}[0]{result}, 'ARRAY', "$way: garbage is tried again");
    for my $plan ('500', 'drop', 'html') {
        $s = eval { answer($t, scripted($plan), "$way, $plan for ever", stream => $stream) } if $plan ne 'drop';
        if ($plan eq 'drop') {
            $t->error_shape(ask($t, scripted('drop'), stream => $stream), 'anthropic', 502, "$way, no service at all");
            next;
        }
        is_deeply($s->{searches}[0]{result}, $failed, "$way, $plan: the search failed");
        is(logged($t)->{attempts}, 3, "$way, $plan: after all attempts");
    }
    $s = answer($t, scripted({ delay_ms => 5000 }), "$way, too slow", stream => $stream);
    is_deeply($s->{searches}[0]{result}, $failed, "$way, too slow: the search failed");
    is(logged($t)->{error}, 'upstream_timeout', "$way, too slow: why");

    # What is not about the search keeps its status.
    $t->error_shape(ask($t, scripted('quota'), stream => $stream), 'anthropic', 402, "$way: the quota");
    is(logged($t)->{error}, 'quota', "$way: why");
    if ($stream) {
        $t->error_shape(ask($t, scripted('throttle'), stream => $stream), 'anthropic', 429, "$way: too many requests");
        is(logged($t)->{error}, 'rate_limited', "$way: why");
    }
}

# --- what is a search and what is not ---------------------------------------

my $before = searches($t);
my $own = { name => 'web_search', description => 'own', input_schema => { type => 'object', properties => { query => { type => 'string' } } } };
my $s = $t->anthropic_stream($t->anthropic(scripted({ tools => [ { name => 'web_search', input => { query => 'x' } } ] }),
    stream => 1, body => { tools => [$own] }), "a client's own function");
is_deeply([ map { $_->{name} } @{ $s->{tools} } ], ['web_search'], 'is called by its name');
$s = $t->anthropic_object($t->anthropic('just talk', body => { tools => [$search], tool_choice => { type => 'none' } }), 'tool_choice none');
is($s->{text}, 'You said: just talk', 'is no search');
$s = $t->openai_object($t->openai('hello there', body => { web_search_options => {} }), 'Chat Completions');
is($s->{text}, 'You said: hello there', 'has no search');
is(searches($t), $before, 'the service was not asked to search');

# --- the next turn ----------------------------------------------------------

my $r = ask($t, 'history');
my $turn = $t->anthropic_object($r, 'a search whose answer comes back');
$s = $t->anthropic_object($t->anthropic([
    { role => 'user', content => 'find it' }, { role => 'assistant', content => $turn->{blocks} }, { role => 'user', content => 'and now?' },
], body => { tools => [ $own ] }), 'with the answer in the history');
my $told = ($t->seen)[-1]{body}{conversationState}{history}[1]{assistantResponseMessage}{content};
like($told, qr{history.*https://example\.com/1}s, 'the model reads the results');
like($told, qr/Snippet 2 about history/, 'and the snippets');

$t->stop;

# --- an expired token, connections, who left --------------------------------

$t = Test::Kiro->new(login => 'credentials_file', workers => 1)->start;
answer($t, 'first', 'before the token expires');
$t->sim(POST => 'tokens', { revoke_access => JSON::PP::true });
$s = answer($t, 'second', 'after the service refused the token', stream => 1);
is(ref $s->{searches}[0]{result}, 'ARRAY', 'has results');
is($t->stats->{refresh}, 1, 'the token was refreshed');
my $v = $t->last_access(2);
is("$v->{attempts} $v->{why}", '2 auth_expired', 'and the search tried again');
$t->anthropic_object($t->anthropic('talk'), 'a talk on the same connection');
my %conns = map { $_->{conn} => 1 } searches($t), $t->seen;
cmp_ok(keys %conns, '<=', 2, 'searches and talks share kept connections');

$r = $t->anthropic('Perform a web search for the query: ' . scripted({ delay_ms => 800 }), body => { tools => [$search] }, abort => { after => 0.2 });
answer($t, 'third', 'after a client left');

$t->done;
