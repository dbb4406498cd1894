use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Time::HiRes qw(time);
use Test::Kiro;
use Test::Kiro::Metrics;

# kiro_metrics equals the access log: after 2,000 requests of all kinds on two workers, with a reload and an expired
# token among them, each series of each counter and each bucket is what the log's records add up to.

my $REQUESTS = 2000;
my $BATCH = 100;
my $p = Test::Kiro::patience();
my $vectors = Test::Kiro::root() . '/gtest/data/vectors';

my $t = Test::Kiro->new(
    workers => 2, listen => 'reuseport', key => 'sk-metrics-log', login => 'credentials_file', scheme => 'http',
    account => 'quota_retry off; cool_down off;',
    location => 'kiro_retries 1; kiro_retry_delay 10ms 100ms; kiro_model_alias gpt-4o claude-sonnet-4.5;',
    http => <<'EOT',
    kiro_account second { api_key_file %%API_KEY_FILE%%; endpoint %%SCHEME%%://kiro_runtime; quota_retry off; cool_down off; }
    kiro_account third  { api_key_file %%API_KEY_FILE%%; endpoint %%SCHEME%%://kiro_runtime; quota_retry off; cool_down off; }
    kiro_account narrow { api_key_file %%API_KEY_FILE%%; endpoint %%SCHEME%%://kiro_runtime; kiro_concurrency 1 queue=1 timeout=5s; }
    kiro_budget_zone $http_x_who zone=who:256k;
EOT
    server => <<"EOT",
        location = /metrics { kiro_metrics; access_log off; }
        location /fall/v1/    { kiro_pass main; kiro_retries 0; kiro_fallback \@second; }
        location \@second     { kiro_pass second; kiro_retries 1; kiro_fallback \@other; }
        location /leave/v1/   { kiro_pass third; kiro_retries 0; kiro_fallback \@other; }
        location \@other      { return 200 "of another provider"; }
        location /narrow/v1/  { kiro_pass narrow; kiro_retries 0; }
        location /budget/v1/  { kiro_pass second; kiro_budget zone=who tokens=300/day; }
        location /small/v1/   { kiro_pass main; client_max_body_size 100; }
        location /denied/v1/  { kiro_pass main; deny all; error_page 403 /elsewhere; }
        location /returned/v1/ { kiro_pass main; return 403; error_page 403 = /elsewhere; }
        location /page/v1/    { kiro_pass main; kiro_retries 0; kiro_client_key sk-of-the-page; error_page 401 = \@elsewhere; }
        location = /elsewhere { return 200 "a page"; }
        location \@elsewhere  { return 200 "a page"; }
        location /filter/     { alias $vectors/; kiro_filter openai; types { application/vnd.amazon.eventstream bin; } }
EOT
)->start;

my %counts = (tokenUsage => { uncachedInputTokens => 900, cacheReadInputTokens => 70, cacheWriteInputTokens => 30, outputTokens => 35, totalTokens => 1035 });
my @kinds = (
    sub { $t->openai_x(scripted({ words => 5, credits => 0.125, first_ms => 15 }), stream => 1) },
    sub { $t->openai_x(scripted({ words => 7, credits => 0.0300007 })) },
    sub { $t->anthropic_x(scripted({ words => 3, credits => 1.5 }), stream => 1, body => { model => 'claude-haiku-4.5' }) },
    sub { $t->anthropic_x(scripted({ reasoning => { text => 'I think about it.' }, words => 4, credits => 0.3333333 })) },
    sub { $t->responses_x(scripted({ words => 6, metadata => \%counts }), stream => 1) },
    sub { $t->responses_x(scripted({ words => 6, credits => 0.02 }), body => { model => 'gpt-4o' }) },
    sub { $t->openai_x(scripted('tool'), stream => 1, body => { tools => [ { type => 'function', function => { name => 'get_weather', parameters => { type => 'object' } } } ] }) },
    sub { $t->openai_x(scripted(['500', { words => 3, credits => 0.01 }])) },
    sub { $t->anthropic_x(scripted('500', '500'), stream => 1) },
    sub { $t->openai_x(scripted('429', '429'), stream => 1) },
    sub { $t->responses_x(scripted('drop', 'ok'), stream => 1) },
    sub { $t->anthropic_x(scripted('mid'), stream => 1) },
    sub { $t->openai_x(scripted({ words => 3 }), body => { model => "junk-$_[0]" }) },
    sub { $t->exchange(POST => '/v1/chat/completions', '{') },
    sub { $t->exchange(GET => '/v1/nothing') },
    sub { $t->exchange(GET => '/v1/models') },
    sub { $t->exchange(GET => '/v1/usage') },
    sub { $t->exchange(POST => '/v1/messages/count_tokens', { model => 'claude-sonnet-4.5', messages => [ { role => 'user', content => "count $_[0]" } ] }) },
    sub { $t->exchange(POST => '/v1/chat/completions', '{}', headers => [ Authorization => 'Bearer wrong' ]) },
    sub { $t->openai_x(scripted({ words => 40, gap_ms => 10, credits => 2 }), stream => 1, abort => { bytes => 900 }) },
    sub { $t->anthropic_x(scripted({ words => 5, first_ms => 400 }), stream => $_[0] % 2, abort => { after => 0.1 }) },
    sub { $t->openai_x(scripted('quota', { words => 3, credits => 0.25 }), path => '/fall/v1/chat/completions', stream => $_[0] % 2) },
    sub { $t->anthropic_x(scripted('quota', '500', 'quota'), path => '/fall/v1/messages') },
    sub { $t->responses_x(scripted('500'), path => '/leave/v1/responses') },
    sub { $t->openai_x(scripted({ words => 2, first_ms => 10, credits => 0.001 }), path => '/narrow/v1/chat/completions', stream => $_[0] % 2) },
    sub { $t->openai_x(scripted({ words => 2, credits => 0.002 }), path => '/budget/v1/chat/completions', headers => [ 'X-Who' => 'who-' . $_[0] % 3 ]) },
    sub { $t->openai_x('x' x 200, path => '/small/v1/chat/completions') },
    sub { $t->openai_x('denied', path => '/denied/v1/chat/completions') },
    sub { $t->openai_x('returned', path => '/returned/v1/chat/completions') },
    sub { $t->anthropic_x('page', path => '/page/v1/messages') },
    sub { $t->exchange(GET => '/filter/s01_text.bin') },
);

my ($start, $n, $sent) = (time, 0, 0);
while ($sent < $REQUESTS) {
    # whose token expires is tried again for that: another reason beside it would not be in the log
    my $expired = $n == $REQUESTS / 4;
    my @x = map { $kinds[ $n % ($expired ? 7 : @kinds) ]->($n++) } 1 .. $BATCH;
    if ($n == $REQUESTS / 2 + $BATCH) {
        $t->turn(0.05, @x);
        $t->reload;
    }
    $t->sim(POST => 'tokens', { expire => JSON::PP::true }) if $expired;
    $t->run(60, @x);
    $sent += grep { !length $_->{out} } @x;    # not those that a busy machine let leave before they had said a word
    my @broken = grep { $_->{error} && !$_->{abort} } @x;
    is(scalar @broken, 0, "requests to $n are answered") or diag join ', ', map { "$_->{path}: $_->{error}" } @broken;
}
note sprintf '%d requests in %.1f s', $sent, time - $start;

# --- what the counters say, when all is over ----------------------------------------------------------------------------

my ($m, @faults);
ok(Test::Kiro::wait_for(20 * $p, sub {
    ($m, @faults) = Test::Kiro::Metrics::read($t->get('/metrics')->{body});
    $m->{kiro_open_requests}{''} == 0;
}), 'none is open in the end');
is_deeply(\@faults, [], 'the text is well formed');
is($m->{kiro_open_streams}{''}, 0, 'no stream is');

my @log = $t->access($sent);
is(scalar @log, $sent, 'each request is in the log once');
cmp_ok($sent, '>=', $REQUESTS, 'as many as there should be');
cmp_ok(scalar(keys %{ { map { $_->{pid} => 1 } @log } }), '>=', 4, 'two workers of each configuration had some');

# --- what the log says --------------------------------------------------------------------------------------------------

my (%want, %bounds);
for my $name (grep { /_bucket$/ } keys %$m) {
    my ($some) = keys %{ $m->{$name} };
    my %other = map { my %l = %{ Test::Kiro::Metrics::labels($_) }; (delete $l{le} => 1) } keys %{ $m->{$name} };
    $bounds{ $name =~ s/_bucket$//r } = [ keys %other ];
}

sub add {
    my ($name, $by, %labels) = @_;
    $want{$name}{ Test::Kiro::Metrics::key(%labels) } += $by;
}

sub observe {
    my ($name, $value, %labels) = @_;
    add("${name}_count", 1, %labels);
    add("${name}_sum", $value, %labels);
    for my $le (@{ $bounds{$name} // [] }) {
        add("${name}_bucket", $le eq '+Inf' || $value <= $le ? 1 : 0, %labels, le => $le);
    }
}

my %KNOWN = map { $_ => 1 } '', 'claude-sonnet-4.5', 'claude-haiku-4.5';
my %TOKENS = (kiro_input_tokens_total => 'input', kiro_output_tokens_total => 'output', kiro_reasoning_tokens_total => 'reasoning',
    kiro_cache_read_tokens_total => 'cache_read', kiro_cache_write_tokens_total => 'cache_write', kiro_credits_total => 'credits');

for my $l (@log) {
    my $model = $KNOWN{ $l->{model} } ? $l->{model} : 'other';
    my %series = (account => $l->{account}, api => $l->{api}, model => $model);
    my %otel = (account => $l->{account}, api => $l->{api}, gen_ai_request_model => $model, gen_ai_operation_name => 'chat', gen_ai_provider_name => 'kiro');
    add('kiro_requests_total', 1, %series, status => $l->{status});
    add('kiro_errors_total', 1, %series, error => $l->{error}) if length $l->{error};
    for my $name (keys %TOKENS) {
        add($name, $l->{ $TOKENS{$name} }, %series) if $l->{ $TOKENS{$name} };
    }
    observe('gen_ai_server_request_duration_seconds', $l->{rt}, %otel);
    observe('gen_ai_server_time_to_first_token_seconds', $l->{ttft}, %otel) if length $l->{ttft};
    if (length $l->{ttft} && !length $l->{error} && ($l->{output} || 0) > 1) {
        my $ms = sprintf('%.0f', $l->{rt} * 1000) - sprintf '%.0f', $l->{ttft} * 1000;
        observe('gen_ai_server_time_per_output_token_seconds', int($ms * 1000 / ($l->{output} - 1)) / 1e6, %otel);
    }
    if (length $l->{input}) {
        observe('gen_ai_client_token_usage', $l->{input}, %otel, gen_ai_token_type => 'input');
        observe('gen_ai_client_token_usage', $l->{output}, %otel, gen_ai_token_type => 'output');
    }
    my @from = split /, /, $l->{fallback_account};
    my @why = split /, /, $l->{fallback};
    is(scalar @from, scalar @why, 'an account for each reason') if @from != @why;
    add('kiro_fallbacks_total', 1, account => $from[$_], reason => $why[$_]) for 0 .. $#from;
    observe('kiro_queue_wait_seconds', $l->{queue}, account => $l->{account}) if length $l->{queue};
    observe('kiro_token_wait_seconds', $l->{token_wait}, account => $from[0] // $l->{account}) if length $l->{token_wait};
    add('kiro_retries_total', $l->{retries}, account => $l->{account}, reason => $l->{why}) if $l->{retries};
}

# --- they are the same --------------------------------------------------------------------------------------------------

for my $name (sort grep { !/^kiro_(?:refreshes|attempts)_total$/ } keys %{ { map { $_ => 1 } keys %want, grep { /_(?:total|bucket|sum|count)$/ } keys %$m } }) {
    my %is = map { $_ => sprintf '%.6f', $m->{$name}{$_} } keys %{ $m->{$name} // {} };
    my %was = map { $_ => sprintf '%.6f', $want{$name}{$_} } keys %{ $want{$name} // {} };
    is_deeply(\%is, \%was, "$name: the log and the counters agree")
        or diag join "\n", map { "$_: " . ($is{$_} // 'none') . ', the log has ' . ($was{$_} // 'none') }
            grep { ($is{$_} // '') ne ($was{$_} // '') } sort keys %{ { %is, %was } };
}

my $attempts = 0;
$attempts += $_->{attempts} || 0 for @log;
is(Test::Kiro::Metrics::total($m, 'kiro_attempts_total'), $attempts, 'kiro_attempts_total: the log and the counter agree');
my @refreshed = $t->grep_log(qr/"main": the token was refreshed/);
is($m->{kiro_refreshes_total}{'account="main",result="ok"'}, scalar @refreshed, 'kiro_refreshes_total: as the error log says');

# --- and it was a mixture -----------------------------------------------------------------------------------------------

my %some = map { $_->{status} => 1 } @log;
is_deeply([ sort grep { $some{$_} } 200, 400, 401, 404, 413, 429, 499, 502 ], [ 200, 400, 401, 404, 413, 429, 499, 502 ], 'statuses') or diag join ' ', sort keys %some;
my %errors = map { $_->{error} => 1 } @log;
ok($errors{$_}, "some ended with $_") or diag join ' ', sort keys %errors
    for qw(client_closed invalid_json unauthenticated budget busy rate_limited upstream_error upstream_cut too_large);
ok(scalar(grep { length $_->{queue} } @log), 'some waited for a place');
ok(scalar(grep { length $_->{token_wait} } @log), 'some waited for a token');
ok(scalar(grep { $_->{cache_read} } @log), 'some read a cache');
is(Test::Kiro::Metrics::total($m, 'kiro_requests_total', model => qr/junk/), 0, 'names that clients make up get no series');
cmp_ok(Test::Kiro::Metrics::total($m, 'kiro_requests_total', model => 'other'), '>', 50, 'but are counted');
my $page = Test::Kiro::Metrics::total($m, 'kiro_requests_total', account => '', api => '', status => 200);
is($page, scalar(grep { $_->{uri} =~ m{^/denied} } @log), 'so are requests that error_page sent to a page before anything was known of them');

$t->done;
